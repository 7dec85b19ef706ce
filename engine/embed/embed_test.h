/* embed_test.h - what the tests of neap.h share: an engine, a script, the next
 * event; each test runs with no worker thread and with two. */
#ifndef NP_EMBED_EMBED_TEST_H
#define NP_EMBED_EMBED_TEST_H
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first. */
#include <cmocka.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "neap.h"

static inline neap_engine *open_with(int32_t workers) {
  neap_config config;
  neap_config_init(&config, sizeof config);
  config.workers = workers;
  neap_engine *engine;
  neap_error error;
  int status = neap_engine_open(&config, &engine, &error);
  if (status != NEAP_OK) print_message("%s\n", error.message);
  assert_int_equal(status, NEAP_OK);
  return engine;
}

static inline neap_job *start(neap_engine *engine, const char *source,
                              uint64_t tag) {
  neap_job *job;
  assert_int_equal(neap_script_start(engine, "=test", source, strlen(source),
                                     NULL, 0, tag, &job, NULL),
                   NEAP_OK);
  return job;
}

/* The next event, driving the engine as a host without a loop would. */
static inline neap_event next(neap_engine *engine) {
  neap_event event;
  for (;;) {
    int count = neap_engine_poll(engine, &event, 1);
    assert_true(count >= 0);
    if (count == 1) return event;
    int status = neap_engine_wait(engine, 20);
    assert_int_equal(status, NEAP_OK);
    assert_true(neap_engine_tick(engine, 0.01, NULL) >= 0);
  }
}

static int32_t alone = 0, threads = 2;
#define BOTH(test)                                      \
  {#test " (workers = 0)", test, NULL, NULL, &alone}, { \
#test " (workers = 2)", test, NULL, NULL, &threads  \
  }

#endif

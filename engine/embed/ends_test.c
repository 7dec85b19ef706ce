/* The C API at its edges: ends of all kinds, bounds, forks, threads that take
 * turns, and no memory. */
#include "embed/embed_test.h"

static void closing_ends_what_runs(void **state) {
  neap_engine *engine = open_with(*(int32_t *)*state);
  neap_job *jobs[20];
  for (int i = 0; i < 20; i++)
    jobs[i] = start(engine,
                    "local neap = require 'neap'\n"
                    "neap.defer(function() neap.sleep(0.01) end)\n"
                    "neap.go(function() neap.sleep(1000) end)\n"
                    "neap.sleep(1000)",
                    0);
  neap_engine_tick(engine, 0.001, NULL);
  assert_int_equal(neap_engine_close(engine, 10, NULL), NEAP_OK);
  assert_int_equal(neap_engine_close(engine, 10, NULL), NEAP_OK);
  neap_event event;
  assert_int_equal(neap_engine_poll(engine, &event, 1), NEAP_CLOSED);
  assert_int_equal(neap_engine_tick(engine, 1, NULL), NEAP_CLOSED);
  for (int i = 0; i < 20; i++) {
    assert_int_equal(neap_job_status(jobs[i]), NEAP_JOB_CANCELED);
    assert_int_equal(neap_job_cancel(jobs[i], "late"), NEAP_CLOSED);
  }
  neap_engine_release(engine);
  for (int i = 0; i < 20; i++) neap_job_release(jobs[i]);
}

static void a_busy_script_is_left_behind_on_time(void **state) {
  (void)state;
  neap_engine *engine = open_with(2);
  neap_job *job = start(engine, "local n = 0 while true do n = n + 1 end", 0);
  usleep(50000);
  int64_t before = np_clock_now();
  neap_error error;
  assert_int_equal(neap_engine_close(engine, 0.1, &error), NEAP_TIMEOUT);
  assert_true(np_clock_now() - before < 3 * NP_SECOND);
  assert_non_null(strstr(error.message, "did not come back"));
  assert_int_equal(neap_job_status(job), NEAP_JOB_CANCELED);
  neap_job_release(job);
  neap_engine_release(engine);
  engine = open_with(1); /* Another one works beside it. */
  neap_job_release(start(engine, "return 1", 0));
  assert_int_equal(next(engine).type, NEAP_EVENT_DONE);
  neap_engine_release(engine);
}

static void two_engines_live_side_by_side(void **state) {
  (void)state;
  neap_engine *first = open_with(1), *second = open_with(0);
  for (uint64_t i = 0; i < 50; i++) {
    neap_job_release(start(first, "return 1", i));
    neap_job_release(start(second, "return 2", i));
  }
  for (uint64_t i = 0; i < 50; i++) {
    neap_event event = next(first);
    neap_value value;
    neap_event_values(&event, &value, 1);
    assert_true(value.number == 1);
    event = next(second);
    assert_int_equal(event.tag, i);
    neap_event_values(&event, &value, 1);
    assert_true(value.number == 2);
  }
  neap_engine_release(first);
  neap_job_release(start(second, "return 3", 0));
  assert_int_equal(next(second).type, NEAP_EVENT_DONE);
  neap_engine_release(second);
}

static void *tick_a_while(void *argument) {
  neap_engine *engine = argument;
  for (int i = 0; i < 200; i++) neap_engine_tick(engine, 0.0005, NULL);
  return NULL;
}

/* One at a time, any thread; who comes second is told so. */
static void calls_move_between_threads(void **state) {
  (void)state;
  neap_engine *engine = open_with(0);
  neap_job_release(start(engine,
                         "local neap = require 'neap'\n"
                         "local n = 0\n"
                         "for i = 1, 2000 do n = n + i neap.yield() end\n"
                         "return n",
                         0));
  pthread_t thread;
  bool busy = false;
  pthread_create(&thread, NULL, tick_a_while, engine);
  for (int i = 0; i < 2000 && !busy; i++)
    busy = neap_engine_tick(engine, 0, NULL) == NEAP_BUSY;
  pthread_join(thread, NULL);
  neap_event event = next(engine);
  neap_value value;
  neap_event_values(&event, &value, 1);
  assert_true(value.number == 2001000);
  neap_engine_release(engine);
}

static void a_forked_child_is_told(void **state) {
  (void)state;
  neap_engine *engine = open_with(1);
  pid_t child = fork();
  if (child == 0) {
    neap_event event;
    bool told = neap_engine_poll(engine, &event, 1) == NEAP_FORKED &&
                neap_engine_close(engine, 1, NULL) == NEAP_FORKED;
    neap_engine_release(engine);
    neap_engine *fresh = NULL;
    neap_config config;
    neap_config_init(&config, sizeof config);
#ifdef __SANITIZE_THREAD__
    config.workers = 0; /* It allows no threads after a fork. */
#endif
    bool works = neap_engine_open(&config, &fresh, NULL) == NEAP_OK;
    neap_engine_release(fresh);
    _exit(told && works ? 0 : 1);
  }
  int status;
  waitpid(child, &status, 0);
  assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  neap_engine_release(engine);
}

static void bounds_hold(void **state) {
  (void)state;
  neap_config config;
  neap_config_init(&config, sizeof config);
  config.workers = 0;
  config.max_jobs = 2;
  neap_engine *engine;
  assert_int_equal(neap_engine_open(&config, &engine, NULL), NEAP_OK);
  neap_job_release(start(engine, "", 0));
  neap_job_release(start(engine, "", 0));
  neap_error error;
  assert_int_equal(neap_script_start(engine, NULL, "", 0, NULL, 0, 0, NULL,
                                     &error),
                   NEAP_LIMIT);
  assert_string_equal(error.kind, "limit");
  neap_value bad = {.type = NEAP_OTHER};
  next(engine);
  assert_int_equal(neap_script_start(engine, NULL, "", 0, &bad, 1, 0, NULL,
                                     &error),
                   NEAP_ARGUMENT);
  neap_stats stats;
  assert_int_equal(neap_engine_stats(engine, &stats, sizeof stats), NEAP_OK);
  assert_int_equal(stats.jobs_started, 2);
  neap_engine_release(engine);
  config.size = 1;
  assert_int_equal(neap_engine_open(&config, &engine, &error), NEAP_ARGUMENT);
  assert_null(engine);
  assert_int_equal(NEAP_ABI_CHECK(), NEAP_OK);
  assert_int_equal(neap_abi_check(0xff0000, 8, 8, 8), NEAP_VERSION_MISMATCH);
  assert_string_equal(neap_status_name(NEAP_BUSY), "busy");
  assert_int_equal(neap_engine_poll(NULL, &(neap_event){0}, 1), NEAP_CLOSED);
}

/* Every allocation of open fails in turn: an error each time, nothing left. */
static void open_survives_each_failure(void **state) {
  int32_t workers = *(int32_t *)*state;
  neap_config config;
  neap_config_init(&config, sizeof config);
  config.workers = workers;
  int64_t before = np_alloc_live();
  int status = NEAP_MEMORY;
  for (int64_t n = 1; status != NEAP_OK; n++) {
    assert_true(n < 1000);
    neap_engine *engine;
    neap_error error = {0};
    np_alloc_fail_at(n);
    status = neap_engine_open(&config, &engine, &error);
    bool failed = np_alloc_fail_at(0) == 0;
    if (status != NEAP_OK) {
      assert_null(engine);
      assert_true(error.message[0] != '\0');
    }
    neap_engine_release(engine);
    assert_int_equal(np_alloc_live(), before);
    if (!failed) break;
  }
  assert_int_equal(status, NEAP_OK);
}

static void start_survives_each_failure(void **state) {
  neap_engine *engine = open_with(*(int32_t *)*state);
  int64_t n = 1;
  for (; n < 1000; n++) {
    neap_job *job;
    np_alloc_fail_at(n);
    int status =
        neap_script_start(engine, NULL, "return 1", 8, NULL, 0, 0, &job, NULL);
    bool failed = np_alloc_fail_at(0) == 0;
    if (status == NEAP_OK) {
      next(engine);
      neap_job_release(job);
    } else {
      assert_int_equal(status, NEAP_MEMORY);
      assert_null(job);
    }
    if (!failed) break;
  }
  assert_true(n > 1 && n < 1000);
  neap_engine_release(engine);
}

static void rounds_leave_nothing(void **state) {
  int64_t before = np_alloc_live();
  for (int i = 0; i < 100; i++) {
    neap_engine *engine = open_with(*(int32_t *)*state);
    neap_job_release(start(engine, "return 1", 0));
    if (i % 2) next(engine);
    neap_engine_release(engine);
  }
  assert_int_equal(np_alloc_live(), before);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      BOTH(closing_ends_what_runs),
      BOTH(open_survives_each_failure),
      BOTH(start_survives_each_failure),
      BOTH(rounds_leave_nothing),
      cmocka_unit_test(two_engines_live_side_by_side),
      cmocka_unit_test(calls_move_between_threads),
      cmocka_unit_test(a_forked_child_is_told),
      cmocka_unit_test(bounds_hold),
      cmocka_unit_test(a_busy_script_is_left_behind_on_time),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/event.h"

#define MS (NP_SECOND / 1000)

static void *signal_later(void *argument) {
  usleep(20000);
  np_event_signal(argument);
  return NULL;
}

static void test_wakes_from_another_thread(void **state) {
  (void)state;
  np_event event;
  assert_int_equal(np_event_open(&event), NP_OK);
  pthread_t thread;
  pthread_create(&thread, NULL, signal_later, &event);
  assert_true(np_event_wait(&event, -1, NP_NEVER));
  pthread_join(thread, NULL);
  np_event_close(&event);
}

static void test_remembers_and_forgets(void **state) {
  (void)state;
  np_event event;
  assert_int_equal(np_event_open(&event), NP_OK);
  for (int i = 0; i < 3; i++) np_event_signal(&event);
  assert_true(np_event_wait(&event, -1, NP_NEVER));
  assert_true(np_event_wait(&event, -1, 0)); /* Until it is cleared. */
  np_event_clear(&event);
  assert_false(np_event_wait(&event, -1, 0));
  np_event_clear(&event); /* Does not block with nothing to clear. */
  np_event_close(&event);
  np_event_close(&event);
}

static void test_time_limit(void **state) {
  (void)state;
  np_event event;
  assert_int_equal(np_event_open(&event), NP_OK);
  int64_t start = np_clock_now();
  assert_false(np_event_wait(&event, -1, start + 20 * MS));
  assert_true(np_clock_now() - start >= 20 * MS); /* Never shorter. */
  assert_false(np_event_wait(&event, -1, start - NP_SECOND)); /* Past. */
  np_event_close(&event);
}

static void test_other_descriptor(void **state) {
  (void)state;
  np_event event;
  int ends[2];
  assert_int_equal(np_event_open(&event), NP_OK);
  assert_int_equal(pipe(ends), 0);
  assert_int_equal(write(ends[1], "x", 1), 1);
  assert_true(np_event_wait(&event, ends[0], NP_NEVER));
  close(ends[0]);
  close(ends[1]);
  np_event_close(&event);
}

/* A signal with the counter full must not block, nor touch errno. */
static void test_full_counter(void **state) {
  (void)state;
  np_event event;
  assert_int_equal(np_event_open(&event), NP_OK);
  uint64_t most = UINT64_MAX - 1;
  assert_int_equal(write(event.fd, &most, sizeof most), sizeof most);
  errno = 1234;
  np_event_signal(&event);
  assert_int_equal(errno, 1234);
  assert_true(np_event_wait(&event, -1, 0));
  np_event_close(&event);
}

static void on_alarm(int number) { (void)number; }

static void *interrupt(void *argument) {
  usleep(20000);
  pthread_kill(*(pthread_t *)argument, SIGUSR1);
  return NULL;
}

static void test_signal_handler_ends_the_sleep(void **state) {
  (void)state;
  np_event event;
  assert_int_equal(np_event_open(&event), NP_OK);
  struct sigaction action = {.sa_handler = on_alarm};
  sigaction(SIGUSR1, &action, NULL);
  pthread_t self = pthread_self(), thread;
  pthread_create(&thread, NULL, interrupt, &self);
  assert_false(np_event_wait(&event, -1, NP_NEVER));
  pthread_join(thread, NULL);
  np_event_close(&event);
}

/* A host may run with its standard streams closed. */
static void test_stays_off_the_standard_streams(void **state) {
  (void)state;
  int saved = dup(0);
  assert_true(saved > 2);
  close(0);
  np_event event;
  np_status status = np_event_open(&event);
  dup2(saved, 0);
  close(saved);
  assert_int_equal(status, NP_OK);
  assert_true(event.fd > 2);
  np_event_signal(&event);
  assert_true(np_event_wait(&event, -1, 0));
  np_event_close(&event);
}

static void test_clock_spans(void **state) {
  (void)state;
  int64_t now = np_clock_now();
  assert_int_equal(np_clock_after(now, 0), now);
  assert_int_equal(np_clock_after(now, -5), now);
  assert_int_equal(np_clock_after(now, 0.0 / 0.0), now);
  assert_int_equal(np_clock_after(now, 1.5), now + 3 * NP_SECOND / 2);
  assert_int_equal(np_clock_after(now, 1e-10), now + 1); /* Rounded up. */
  assert_true(np_clock_after(now, 1e300) == NP_NEVER);
  assert_true(np_clock_after(now, 1.0 / 0.0) == NP_NEVER);
  assert_true(np_clock_after(NP_NEVER - 5, 1) == NP_NEVER);
}

int main(void) {
  alarm(100);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_wakes_from_another_thread),
      cmocka_unit_test(test_remembers_and_forgets),
      cmocka_unit_test(test_time_limit),
      cmocka_unit_test(test_other_descriptor),
      cmocka_unit_test(test_full_counter),
      cmocka_unit_test(test_signal_handler_ends_the_sleep),
      cmocka_unit_test(test_stays_off_the_standard_streams),
      cmocka_unit_test(test_clock_spans),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/lock.h"

#define THREADS 8

typedef struct counted {
  np_lock lock;
  uint64_t total, inside, worst;
  int rounds;
} counted;

static void *count(void *argument) {
  counted *shared = argument;
  for (int i = 0; i < shared->rounds; i++) {
    np_lock_take(&shared->lock);
    if (++shared->inside > shared->worst) shared->worst = shared->inside;
    shared->total++;
    shared->inside--;
    np_lock_leave(&shared->lock);
  }
  return NULL;
}

/* Threads that only count, with more of them than CPUs: some must sleep. */
static void test_contention(void **state) {
  (void)state;
  counted shared = {.rounds = getenv("NEAP_TEST_QUICK") ? 20000 : 200000};
  np_lock_init(&shared.lock);
  pthread_t threads[THREADS];
  for (int i = 0; i < THREADS; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, count, &shared), 0);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  assert_int_equal(shared.total, (uint64_t)THREADS * (uint64_t)shared.rounds);
  assert_int_equal(shared.worst, 1);
  assert_int_equal(atomic_load(&shared.lock.state), 0);
}

typedef struct held {
  np_lock lock;
  int value, seen[4];
  _Atomic int waiting;
} held;

static void *read_value(void *argument) {
  held *shared = argument;
  int at = atomic_fetch_add(&shared->waiting, 1);
  np_lock_take(&shared->lock);
  shared->seen[at] = shared->value;
  np_lock_leave(&shared->lock);
  return NULL;
}

/* A holder that keeps it for long: the others sleep in the kernel, and each of
 * them is woken. */
static void test_sleepers_are_woken(void **state) {
  (void)state;
  held shared = {.value = 1};
  np_lock_init(&shared.lock);
  np_lock_take(&shared.lock);
  pthread_t threads[4];
  for (int i = 0; i < 4; i++)
    pthread_create(&threads[i], NULL, read_value, &shared);
  while (atomic_load(&shared.waiting) != 4 ||
         atomic_load(&shared.lock.state) != 2)
    usleep(100);
  shared.value = 2;
  np_lock_leave(&shared.lock);
  for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
  for (int i = 0; i < 4; i++) assert_int_equal(shared.seen[i], 2);
}

int main(void) {
  alarm(100);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_contention),
      cmocka_unit_test(test_sleepers_are_woken),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

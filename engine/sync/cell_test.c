#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "sync/cell.h"

#define THREADS 4
#define ROUNDS 20000

static void test_min_and_max(void **state) {
  (void)state;
  int64_t before = np_alloc_live();
  np_cell *cell = np_cell_open(5);
  assert_non_null(cell);
  assert_int_equal(np_cell_min(cell, 7), 5);
  assert_int_equal(np_cell_min(cell, -2), -2);
  assert_int_equal(np_cell_max(cell, -9), -2);
  assert_int_equal(np_cell_max(cell, 11), 11);
  assert_int_equal(np_cell_max(cell, INT64_MIN), 11);
  assert_int_equal(atomic_load(&cell->value), 11);
  np_object_release(&cell->object);
  np_alloc_fail_at(1);
  assert_null(np_cell_open(0));
  assert_int_equal(np_alloc_live(), before);
}

typedef struct job {
  np_cell *low, *high;
  int64_t number;
} job;

static void *push_both(void *argument) {
  job *self = argument;
  for (int64_t i = 0; i < ROUNDS; i++) {
    int64_t value = i * THREADS + self->number;
    int64_t now = np_cell_max(self->high, value);
    if (now < value) return self; /* It only grows. */
    if (np_cell_min(self->low, -value) > -value) return self;
  }
  return NULL;
}

static void test_no_update_is_lost(void **state) {
  (void)state;
  np_cell *low = np_cell_open(0), *high = np_cell_open(0);
  pthread_t threads[THREADS];
  job jobs[THREADS];
  for (int i = 0; i < THREADS; i++) {
    jobs[i] = (job){low, high, i};
    pthread_create(&threads[i], NULL, push_both, &jobs[i]);
  }
  for (int i = 0; i < THREADS; i++) {
    void *failed;
    pthread_join(threads[i], &failed);
    assert_null(failed);
  }
  int64_t most = (int64_t)(ROUNDS - 1) * THREADS + THREADS - 1;
  assert_int_equal(atomic_load(&high->value), most);
  assert_int_equal(atomic_load(&low->value), -most);
  np_object_release(&low->object);
  np_object_release(&high->object);
}

int main(void) {
  alarm(100);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_min_and_max),
      cmocka_unit_test(test_no_update_is_lost),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

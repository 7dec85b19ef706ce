#include <pthread.h>

#include "csp/context.h"
#include "csp/testing.h"

typedef struct alarm_clock {
  np_timer timer;
  int number;
} alarm_clock;

static int fired[4096], fired_count;

static void note(np_timer *timer, np_waker *me) {
  (void)me;
  fired[fired_count++] = np_container_of(timer, alarm_clock, timer)->number;
}

static void set_up(np_timers *timers, alarm_clock *clocks, int count) {
  np_timers_init(timers, true, 1000);
  fired_count = 0;
  for (int i = 0; i < count; i++)
    clocks[i] = (alarm_clock){.timer.fire = note, .number = i};
}

static void test_fires_in_order_of_time(void **state) {
  (void)state;
  enum {
    COUNT = 1000
  };
  static alarm_clock clocks[COUNT];
  np_timers timers;
  set_up(&timers, clocks, COUNT);
  for (int i = 0; i < COUNT; i++) /* 7 and 1000 share no divisor. */
    np_timer_arm(&timers, &clocks[i * 7 % COUNT].timer, 2000 + i * 7 % COUNT);
  assert_int_equal(np_timers_next(&timers), 2000);
  assert_int_equal(np_timers_fire(&timers, NULL, 1999), 0);
  assert_int_equal(np_timers_fire(&timers, NULL, 2499), 500);
  assert_int_equal(np_timers_next(&timers), 2500);
  assert_int_equal(np_timers_fire(&timers, NULL, 9000), 500);
  for (int i = 0; i < COUNT; i++) assert_int_equal(fired[i], i);
  assert_int_equal(np_timers_next(&timers), NP_NEVER);
  np_timers_free(&timers);
}

/* Equal times fire in the order of arming. */
static void test_ties_first_armed_first(void **state) {
  (void)state;
  enum {
    COUNT = 100
  };
  alarm_clock clocks[COUNT];
  np_timers timers;
  set_up(&timers, clocks, COUNT);
  for (int i = 0; i < COUNT; i++) np_timer_arm(&timers, &clocks[i].timer, 5000);
  np_timer_arm(&timers, &clocks[0].timer, 5000); /* To the end of the queue. */
  assert_int_equal(np_timers_fire(&timers, NULL, 5000), COUNT);
  for (int i = 0; i < COUNT; i++) assert_int_equal(fired[i], (i + 1) % COUNT);
  np_timers_free(&timers);
}

/* SP-03: a seed permutes equal times, the same seed alike, and no others. */
static void test_ties_by_seed(void **state) {
  (void)state;
  enum {
    COUNT = 32
  };
  alarm_clock clocks[COUNT];
  int orders[3][COUNT];
  const uint64_t seeds[] = {1, 1, 2};
  for (int run = 0; run < 3; run++) {
    np_timers timers;
    np_random random;
    np_random_seed(&random, seeds[run]);
    set_up(&timers, clocks, COUNT);
    timers.random = &random;
    for (int i = 0; i < COUNT; i++)
      np_timer_arm(&timers, &clocks[i].timer, i < COUNT / 2 ? 5000 : 5001);
    np_timers_fire(&timers, NULL, 9000);
    for (int i = 0; i < COUNT / 2; i++) assert_true(fired[i] < COUNT / 2);
    memcpy(orders[run], fired, sizeof orders[run]);
    np_timers_free(&timers);
  }
  assert_memory_equal(orders[0], orders[1], sizeof orders[0]);
  assert_memory_not_equal(orders[0], orders[2], sizeof orders[0]);
}

static void test_disarm_and_rearm(void **state) {
  (void)state;
  enum {
    COUNT = 300
  };
  static alarm_clock clocks[COUNT];
  np_timers timers;
  set_up(&timers, clocks, COUNT);
  np_random random;
  np_random_seed(&random, 3);
  for (int i = 0; i < COUNT; i++)
    np_timer_arm(&timers, &clocks[i].timer,
                 2000 + (int64_t)np_random_below(&random, 50));
  bool alive[COUNT];
  int left = 0;
  for (int i = 0; i < COUNT; i++) {
    alive[i] = np_random_below(&random, 3) != 0;
    left += alive[i];
    if (!alive[i]) {
      assert_true(np_timer_disarm(&clocks[i].timer));
      assert_false(np_timer_disarm(&clocks[i].timer)); /* TM-04 */
      assert_false(np_timer_is_armed(&clocks[i].timer));
    } else {
      assert_true(np_timer_is_armed(&clocks[i].timer));
    }
  }
  assert_int_equal(np_timers_fire(&timers, NULL, 9000), left);
  for (int i = 0; i < left; i++) assert_true(alive[fired[i]]);
  for (int i = 0; i < COUNT; i++)
    assert_false(np_timer_disarm(&clocks[i].timer)); /* TM-06 */
  np_timers_free(&timers);
}

static void test_moves(void **state) {
  (void)state;
  alarm_clock clocks[3];
  np_timers timers;
  set_up(&timers, clocks, 3);
  for (int i = 0; i < 3; i++)
    np_timer_arm(&timers, &clocks[i].timer, 2000 + i * 100);
  np_timer_arm(&timers, &clocks[0].timer, 2150); /* Later. */
  np_timer_arm(&timers, &clocks[2].timer, 1500); /* Sooner. */
  assert_int_equal(np_timers_fire(&timers, NULL, 9000), 3);
  const int order[] = {2, 1, 0};
  assert_memory_equal(fired, order, sizeof order);
  np_timers_free(&timers);
}

static void test_never_is_not_armed(void **state) {
  (void)state;
  alarm_clock clocks[1];
  np_timers timers;
  set_up(&timers, clocks, 1);
  np_timer_arm(&timers, &clocks[0].timer, 2000);
  assert_int_equal(np_timer_arm(&timers, &clocks[0].timer, NP_NEVER), NP_OK);
  assert_false(np_timer_is_armed(&clocks[0].timer));
  assert_int_equal(np_timers_next(&timers), NP_NEVER);
  np_timers_free(&timers);
}

static void test_virtual_clock_stands_still(void **state) {
  (void)state;
  np_timers timers;
  np_timers_init(&timers, true, 12345);
  usleep(2000);
  assert_int_equal(np_timers_now(&timers), 12345);
  timers.now = 20000;
  assert_int_equal(np_timers_now(&timers), 20000);
  np_timers real;
  np_timers_init(&real, false, 0);
  int64_t before = np_timers_now(&real);
  usleep(2000);
  assert_true(np_timers_now(&real) - before >= 2000000);
  np_timers_free(&real);
  np_timers_free(&timers);
}

static void test_no_memory_leaves_it_unarmed(void **state) {
  (void)state;
  alarm_clock clocks[1];
  np_timers timers;
  set_up(&timers, clocks, 1);
  np_alloc_fail_at(1);
  assert_int_equal(np_timer_arm(&timers, &clocks[0].timer, 2000), NP_NOMEM);
  assert_false(np_timer_is_armed(&clocks[0].timer));
  assert_int_equal(np_timer_arm(&timers, &clocks[0].timer, 2000), NP_OK);
  assert_int_equal(np_timers_fire(&timers, NULL, 2000), 1);
  np_timers_free(&timers);
}

/* A heap that goes first leaves no pointer to itself in its timers. */
static void test_timers_outlive_their_heap(void **state) {
  (void)state;
  alarm_clock clocks[2];
  np_timers *timers = np_alloc(sizeof *timers);
  set_up(timers, clocks, 2);
  np_timer_arm(timers, &clocks[0].timer, 2000);
  np_timer_arm(timers, &clocks[1].timer, 1001);
  np_timers_fire(timers, NULL, 1500);
  np_timers_free(timers);
  np_free(timers);
  assert_false(np_timer_disarm(&clocks[0].timer));
  assert_false(np_timer_disarm(&clocks[1].timer));
}

typedef struct owned {
  np_object object;
  alarm_clock clock;
  np_timers *timers;
} owned;

static void owned_free(np_object *object) {
  owned *self = np_container_of(object, owned, object);
  np_timer_disarm(&self->clock.timer);
  np_free(self);
}
static const np_object_kind owned_kind = {"owned", 98, owned_free, NULL};

static owned *new_owned(np_timers *timers, int number) {
  owned *self = np_alloc_zero(sizeof *self);
  np_object_init(&self->object, &owned_kind);
  self->clock = (alarm_clock){.timer.fire = note, .number = number};
  self->clock.timer.owner = &self->object;
  self->timers = timers;
  return self;
}

static void test_owner_is_kept_while_firing(void **state) {
  (void)state;
  np_timers timers;
  set_up(&timers, NULL, 0);
  owned *self = new_owned(&timers, 5);
  np_timer_arm(&timers, &self->clock.timer, 2000);
  assert_int_equal(np_timers_fire(&timers, NULL, 2000), 1);
  assert_int_equal(atomic_load(&self->object.refs), 1);
  np_object_release(&self->object);

  /* A dying owner: its last reference is gone, its disarm is yet to come. */
  self = new_owned(&timers, 6);
  np_timer_arm(&timers, &self->clock.timer, 2000);
  atomic_store(&self->object.refs, 0);
  assert_int_equal(np_timers_fire(&timers, NULL, 2000), 0);
  assert_int_equal(fired_count, 1);
  owned_free(&self->object);
  np_timers_free(&timers);
}

static np_timers shared_timers;
static owned *_Atomic handed[64];

static void *release_them(void *argument) {
  (void)argument;
  for (int released = 0; released < 20000;) {
    for (int i = 0; i < 64; i++) {
      owned *self = atomic_exchange(&handed[i], NULL);
      if (self == NULL) continue;
      if (released % 2 == 0) np_timer_disarm(&self->clock.timer);
      np_object_release(&self->object);
      released++;
    }
  }
  return NULL;
}

static void count_fire(np_timer *timer, np_waker *me) {
  (void)timer;
  (void)me;
}

/* Owners die and disarm in another thread while the heap fires them. */
static void test_disarmed_and_freed_elsewhere(void **state) {
  (void)state;
  int64_t before = np_alloc_live();
  np_timers_init(&shared_timers, true, 0);
  pthread_t thread;
  pthread_create(&thread, NULL, release_them, NULL);
  for (int made = 0; made < 20000;) {
    for (int i = 0; i < 64 && made < 20000; i++) {
      if (atomic_load(&handed[i]) != NULL) continue;
      owned *self = new_owned(&shared_timers, 0);
      self->clock.timer.fire = count_fire;
      np_timer_arm(&shared_timers, &self->clock.timer,
                   shared_timers.now + made % 3);
      atomic_store(&handed[i], self);
      made++;
    }
    np_timers_fire(&shared_timers, NULL, ++shared_timers.now);
  }
  pthread_join(thread, NULL);
  np_timers_free(&shared_timers);
  assert_int_equal(np_alloc_live(), before);
}

int main(void) {
  alarm(110);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_fires_in_order_of_time),
      cmocka_unit_test(test_ties_first_armed_first),
      cmocka_unit_test(test_ties_by_seed),
      cmocka_unit_test(test_disarm_and_rearm),
      cmocka_unit_test(test_moves),
      cmocka_unit_test(test_never_is_not_armed),
      cmocka_unit_test(test_virtual_clock_stands_still),
      cmocka_unit_test(test_no_memory_leaves_it_unarmed),
      cmocka_unit_test(test_timers_outlive_their_heap),
      cmocka_unit_test(test_owner_is_kept_while_firing),
      cmocka_unit_test(test_disarmed_and_freed_elsewhere),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

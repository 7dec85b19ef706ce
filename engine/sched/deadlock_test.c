/* Deadlocks that are, and those that are not: rows DL-04 to DL-06. */
#include <pthread.h>
#include <time.h>

#include "sched/testing.h"

static bool is_quick(void) { return getenv("NEAP_TEST_QUICK") != NULL; }

static void test_finds_deadlocks(void **state) {
  (void)state;
  for (uint32_t threads = 0; threads < 3; threads++) {
    np_engine *engine = np_test_engine(threads);
    np_context *scope = np_test_scope(engine);
    for (uint32_t i = 0; i < 4; i++)
      np_object_release(
          &np_test_spawn(engine->workers[0], scope, 0, 0, np_step_wait, NULL)
               ->object);
    assert_int_equal(np_test_wait(engine, scope), NP_DEADLOCK);
    np_test_leave(engine, scope);
    np_test_close(engine);
  }
}

/* DL-04, DL-06: no report while a time or somebody outside may wake one. */
static void step_sleep(np_worker *worker, np_task *task) {
  np_waker *me = &worker->waker;
  if (me->front.code == NP_TIMEOUT) {
    np_test_end(worker, task);
    return;
  }
  assert_int_equal(np_waiter_limit(me, np_wait_bare(me), 0.03), NP_PARKED);
}

static void test_no_deadlock_while_a_timer_is_armed(void **state) {
  (void)state;
  for (uint32_t threads = 0; threads < 3; threads++) {
    np_engine *engine = np_test_engine(threads);
    np_context *scope = np_test_scope(engine);
    for (uint32_t i = 0; i <= threads; i++)
      np_object_release(
          &np_test_spawn(engine->workers[0], scope, 0, i, step_sleep, NULL)
               ->object);
    assert_int_equal(np_test_wait(engine, scope), NP_OK);
    np_test_leave(engine, scope);
    np_test_close(engine);
  }
}

static void *outsider(void *argument) {
  np_engine *engine = argument;
  usleep(50000);
  np_engine_interrupt(engine, np_nothing);
  return NULL;
}

static void test_no_deadlock_with_an_outsider(void **state) {
  (void)state;
  for (uint32_t threads = 0; threads < 3; threads++) {
    np_engine *engine = np_test_engine(threads);
    np_context *scope = np_test_scope(engine);
    atomic_fetch_add(&engine->outsiders, 1);
    np_object_release(
        &np_test_spawn(engine->workers[0], scope, 0, 0, np_step_wait, NULL)
             ->object);
    pthread_t thread;
    pthread_create(&thread, NULL, outsider, engine);
    assert_int_equal(np_test_wait(engine, scope), NP_OK);
    assert_int_equal(np_context_state(engine->root), NP_CANCELED);
    pthread_join(thread, NULL);
    np_test_leave(engine, scope);
    np_test_close(engine);
  }
}

/* DL-05: a timer that was disarmed by another worker hides nothing. */
static void step_end_context(np_worker *worker, np_task *task) {
  np_context_end(&worker->waker, task->state, NP_CANCELED, np_nothing);
  np_test_end(worker, task);
}

static void test_disarmed_timers_hide_no_deadlock(void **state) {
  (void)state;
  np_engine *engine = np_test_engine(2);
  np_waker *me = &engine->workers[0]->waker;
  np_context *scope = np_test_scope(engine);
  np_context *timed =
      np_context_open_until(me, engine->root, np_clock_now() + 3600 * NP_SECOND,
                            np_nothing);
  np_object_release(
      &np_test_spawn(engine->workers[0], scope, 0, 1, np_step_wait, NULL)
           ->object);
  np_test_pump(engine, np_clock_now() + 5 * NP_MS);
  np_object_release(
      &np_test_spawn(engine->workers[0], scope, 0, 2, step_end_context, timed)
           ->object);
  assert_int_equal(np_test_wait(engine, scope), NP_DEADLOCK);
  np_object_release(&timed->object);
  np_test_leave(engine, scope);
  np_test_close(engine);
}

/* With nobody to tell, an engine at rest takes no CPU. */
static void test_rests_quietly(void **state) {
  (void)state;
  np_engine *engine = np_test_engine(2);
  engine->main_waiter = NULL;
  struct timespec before, after;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
  np_context *timed = np_context_open_until(
      &engine->workers[0]->waker, engine->root, np_clock_now() + 60 * NP_MS,
      np_nothing); /* Worker 0 gets up for it, and then rests again. */
  pthread_t thread;
  pthread_create(&thread, NULL, outsider, engine);
  np_channel *channel = np_channel_open(0, NP_BLOCK, true);
  assert_int_equal(np_channel_recv(&engine->workers[0]->waker, channel, true),
                   NP_PUMP);
  assert_int_equal(np_test_pump(engine, NP_NEVER), NP_CANCELED);
  pthread_join(thread, NULL);
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
  int64_t spent = (after.tv_sec - before.tv_sec) * NP_SECOND +
                  (after.tv_nsec - before.tv_nsec);
  assert_true(spent < 30 * NP_MS);
  np_object_release(&channel->object);
  np_object_release(&timed->object);
  np_test_close(engine);
}

/* The first spawn, out of a task, starts the threads: the first of them to lie
 * down must not take itself and a busy worker 0 for everybody. */
static void step_start(np_worker *worker, np_task *task) {
  if (np_engine_start(worker->engine, 2, np_worker_loop) != NP_OK) abort();
  usleep(2000);
  np_object_release(
      &np_test_spawn(worker, task->scope, 0, 0, np_step_end, NULL)->object);
  np_test_end(worker, task);
}

static void test_no_deadlock_while_starting(void **state) {
  (void)state;
  for (int round = 0; round < (is_quick() ? 20 : 60); round++) {
    np_engine *engine = np_test_engine(0);
    np_context *scope = np_test_scope(engine);
    np_test_go(engine, scope, 0, step_start, NULL);
    assert_int_equal(np_test_wait(engine, scope), NP_OK);
    np_test_leave(engine, scope);
    np_test_close(engine);
  }
}

/* Workers that hand a token round and sleep between: never a false alarm, and
 * always the true one at the end. */
typedef struct ring {
  np_channel *channels[4];
  _Atomic int hops;
  int most;
} ring;

typedef struct station {
  ring *all;
  int number;
  bool has_sent;
} station;

static void step_station(np_worker *worker, np_task *task) {
  station *self = task->state;
  ring *all = self->all;
  np_waker *me = &worker->waker;
  int32_t code = me->front.code;
  for (;;) {
    if (code == NP_CANCELED) {
      np_task_end(worker, task, NP_TASK_CANCELED, np_nothing);
      return;
    }
    if (code == NP_MESSAGE) {
      if (atomic_fetch_add(&all->hops, 1) < all->most) {
        np_value value = np_value_number(1);
        np_channel *next = all->channels[(self->number + 1) % 4];
        int32_t sent = np_channel_send(me, next, &value, false);
        assert_true(sent == NP_OK);
      } /* Else the token is lost. */
    }
    code = np_channel_recv(me, all->channels[self->number], true);
    if (code == NP_PARKED || code == NP_YIELD) return;
  }
}

static void test_a_ring_that_loses_its_token(void **state) {
  (void)state;
  int64_t before = np_alloc_live();
  for (int round = 0; round < (is_quick() ? 20 : 100); round++) {
    np_engine *engine = np_test_engine(3);
    np_context *scope = np_test_scope(engine);
    ring all = {.most = round * 7};
    station stations[4];
    for (int i = 0; i < 4; i++)
      all.channels[i] = np_channel_open(1, NP_BLOCK, true);
    for (int i = 0; i < 4; i++) {
      stations[i] = (station){.all = &all, .number = i};
      if (i != 0)
        np_object_release(&np_test_spawn(engine->workers[0], scope, 0,
                                         (uint32_t)i, step_station,
                                         &stations[i])
                               ->object);
      else
        np_test_go(engine, scope, 0, step_station, &stations[i]);
    }
    np_value value = np_value_number(1);
    np_channel_send(&engine->workers[0]->waker, all.channels[0], &value, false);
    assert_int_equal(np_test_wait(engine, scope), NP_DEADLOCK);
    assert_int_equal(atomic_load(&all.hops), all.most + 1);
    for (int i = 0; i < 4; i++) np_object_release(&all.channels[i]->object);
    np_test_leave(engine, scope);
    np_test_close(engine);
  }
  assert_int_equal(np_alloc_live(), before);
}

int main(void) {
  alarm(110);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_finds_deadlocks),
      cmocka_unit_test(test_no_deadlock_while_a_timer_is_armed),
      cmocka_unit_test(test_no_deadlock_with_an_outsider),
      cmocka_unit_test(test_disarmed_timers_hide_no_deadlock),
      cmocka_unit_test(test_rests_quietly),
      cmocka_unit_test(test_no_deadlock_while_starting),
      cmocka_unit_test(test_a_ring_that_loses_its_token),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

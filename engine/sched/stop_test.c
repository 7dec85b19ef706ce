/* Halt, stop and renew; shields; and bubbles as the loop sees them. */
#include <pthread.h>
#include <sched.h>

#include "sched/testing.h"

static void test_renews(void **state) {
  (void)state;
  int64_t before = np_alloc_live();
  np_engine *engine = np_test_engine(0);
  np_worker *worker = engine->workers[0];
  np_context *root = engine->root;
  for (uint32_t round = 0; round < 30; round++) {
    uint32_t threads = round % 4;
    assert_int_equal(np_engine_start(engine, threads, np_worker_loop), NP_OK);
    np_context *scope = np_test_scope(engine);
    np_outcome *inside = np_test_spawn(worker, scope, 0, 0, np_step_end, NULL);
    np_outcome *loose =
        np_test_spawn(worker, root, 0, threads, np_step_wait, NULL);
    assert_int_equal(np_test_wait(engine, scope), NP_OK);
    np_test_leave(engine, scope);
    np_engine_halt(engine, NP_SECOND);
    np_test_settle(engine);
    assert_int_equal(np_engine_stop(engine, 10 * NP_SECOND), NP_OK);
    assert_true(np_engine_has_halted(engine));
    assert_int_equal(np_outcome_state(inside), NP_TASK_SUCCEEDED);
    assert_int_equal(np_outcome_state(loose), NP_TASK_CANCELED);
    np_object_release(&inside->object);
    np_object_release(&loose->object);
    assert_int_equal(np_engine_renew(&engine), NP_OK);
    assert_ptr_equal(engine->workers[0], worker);
    assert_ptr_equal(engine->root, root);
    assert_int_equal(np_context_state(root), NP_OK);
    assert_int_equal(root->working, 0);
    assert_true(np_list_empty(&root->children));
  }
  np_test_close(engine);
  assert_int_equal(np_alloc_live(), before);
}

/* A channel of before gives no slot back to the table of after. */
static void test_renewed_slots(void **state) {
  (void)state;
  np_engine *engine = np_test_engine(0);
  np_waker *me = &engine->workers[0]->waker;
  np_channel *channel = np_channel_open(9, NP_BLOCK, false);
  for (int i = 0; i < 9; i++)
    assert_true(np_channel_send_slot(me, channel, false) >= 0);
  np_engine_halt(engine, 0);
  assert_int_equal(np_engine_stop(engine, NP_SECOND), NP_OK);
  assert_int_equal(np_engine_renew(&engine), NP_OK);
  np_object_release(&channel->object);
  assert_int_equal(me->free_count, 0);
  for (uint32_t i = 0; i < 20; i++) assert_int_equal(np_slot_take(me), i);
  np_test_close(engine);
}

/* While one worker unwinds and spawns, another has long stopped. */
static void step_spawn_while_unwinding(np_worker *worker, np_task *task) {
  np_waker *me = &worker->waker;
  if (me->front.code != NP_CANCELED && np_wait_bare(me) != NP_CANCELED) return;
  usleep(20000); /* The others are gone by now. */
  for (uint32_t target = 0; target < 3; target++)
    np_object_release(
        &np_test_spawn(worker, task->scope, 0, target, np_step_end, NULL)
             ->object);
  np_task_end(worker, task, NP_TASK_CANCELED, np_nothing);
}

static void test_spawns_while_unwinding(void **state) {
  (void)state;
  int64_t before = np_alloc_live();
  for (int round = 0; round < 3; round++) {
    np_engine *engine = np_test_engine(2);
    for (uint32_t i = 1; i <= 2; i++)
      np_object_release(&np_test_spawn(engine->workers[0], engine->root, 0,
                                       round == 2 ? i : 2,
                                       step_spawn_while_unwinding, NULL)
                             ->object);
    np_test_pump(engine, np_clock_now() + 5 * NP_MS);
    np_test_close(engine);
  }
  assert_int_equal(np_alloc_live(), before);
}

/* --- shields -------------------------------------------------------------- */

typedef struct shielded {
  _Atomic int rounds, woken_inside;
  _Atomic bool stop;
} shielded;

/* In and out of a shield, parking for a moment each time. */
static void step_shielded(np_worker *worker, np_task *task) {
  shielded *self = task->state;
  np_waker *me = &worker->waker;
  int32_t code = me->front.code;
  for (;;) {
    if (task->waiter.shielded) {
      if (code == NP_CANCELED) atomic_fetch_add(&self->woken_inside, 1);
      if (code == NP_TIMEOUT) np_task_shield(me, false);
    }
    if (!task->waiter.shielded) {
      atomic_fetch_add(&self->rounds, 1);
      bool canceled = np_waker_check(me) == NP_CANCELED;
      if (canceled || atomic_load(&self->stop)) {
        np_task_end(worker, task, NP_TASK_CANCELED, np_nothing);
        return;
      }
      np_task_shield(me, true);
    }
    code = np_waiter_limit(me, np_wait_bare(me), 2e-6);
    if (code == NP_PARKED) return;
  }
}

static void test_no_cancel_inside_a_shield(void **state) {
  (void)state;
  np_engine *engine = np_test_engine(1);
  np_waker *me = &engine->workers[0]->waker;
  int rounds = getenv("NEAP_TEST_QUICK") ? 300 : 2000;
  np_context *scope = np_test_scope(engine);
  shielded self = {0};
  for (int round = 0; round < rounds; round++) {
    atomic_store(&self.rounds, 0);
    np_outcome *outcome =
        np_test_spawn(engine->workers[0], scope, 0, 1, step_shielded, &self);
    while (atomic_load(&self.rounds) < 2) sched_yield();
    assert_int_equal(np_outcome_cancel(me, outcome, np_nothing), NP_OK);
    assert_int_equal(np_test_wait(engine, scope), NP_OK);
    assert_int_equal(np_outcome_state(outcome), NP_TASK_CANCELED);
    np_object_release(&outcome->object);
  }
  assert_int_equal(atomic_load(&self.woken_inside), 0);
  np_test_leave(engine, scope);
  np_test_close(engine);
}

/* --- bubbles -------------------------------------------------------------- */

static int order[100], count;

typedef struct sleeper {
  int number;
  double seconds;
  int naps;
} sleeper;

static void step_nap(np_worker *worker, np_task *task) {
  sleeper *self = task->state;
  np_waker *me = &worker->waker;
  if (me->front.code == NP_TIMEOUT) order[count++] = self->number;
  if (self->naps-- == 0) {
    np_test_end(worker, task);
    return;
  }
  assert_int_equal(np_waiter_limit(me, np_wait_bare(me), self->seconds),
                   NP_PARKED);
}

static np_bubble *enter_bubble(np_engine *engine) {
  np_waker *me = &engine->workers[0]->waker;
  np_bubble *bubble = np_alloc_zero(sizeof *bubble);
  np_timers_init(&bubble->timers, true, NP_SECOND);
  bubble->active = 1;
  bubble->root = me->current;
  me->current->bubble = bubble;
  me->timers = &bubble->timers;
  return bubble;
}

static void leave_bubble(np_engine *engine, np_bubble *bubble) {
  np_waker *me = &engine->workers[0]->waker;
  assert_null(me->idle_bubbles);
  me->current->bubble = NULL;
  me->timers = &me->own_timers;
  np_timers_free(&bubble->timers);
  np_free(bubble);
}

/* Hours pass in no time, and in their order. */
static void test_bubble_time(void **state) {
  (void)state;
  np_engine *engine = np_test_engine(0);
  np_context *scope = np_test_scope(engine);
  np_bubble *bubble = enter_bubble(engine);
  sleeper sleepers[] = {{0, 7200, 2}, {1, 3601, 3}, {2, 3600, 1}};
  count = 0;
  int64_t start = np_clock_now();
  for (int i = 0; i < 3; i++)
    np_test_go(engine, scope, 0, step_nap, &sleepers[i]);
  assert_int_equal(np_test_wait(engine, scope), NP_OK);
  const int wanted[] = {2, 1, 0, 1, 1, 0};
  assert_int_equal(count, 6);
  assert_memory_equal(order, wanted, sizeof wanted);
  assert_true(bubble->timers.now == NP_SECOND + 14400 * NP_SECOND);
  assert_true(np_clock_now() - start < 60 * NP_SECOND);
  leave_bubble(engine, bubble);
  np_test_leave(engine, scope);
  np_test_close(engine);
}

/* Nothing in it can move: its root is told, whatever goes on outside. */
static void test_bubble_deadlock(void **state) {
  (void)state;
  np_engine *engine = np_test_engine(2);
  np_context *scope = np_test_scope(engine);
  np_bubble *bubble = enter_bubble(engine);
  np_test_go(engine, scope, 0, np_step_wait, NULL);
  assert_int_equal(np_test_wait(engine, scope), NP_DEADLOCK);
  assert_int_equal(bubble->active, 1);
  leave_bubble(engine, bubble);
  np_test_leave(engine, scope);
  np_test_close(engine);
}

/* A spawn inside stays inside, on this worker. */
static void test_bubble_keeps_its_tasks(void **state) {
  (void)state;
  np_engine *engine = np_test_engine(2);
  np_context *scope = np_test_scope(engine);
  np_bubble *bubble = enter_bubble(engine);
  sleeper one = {0, 60, 1};
  count = 0;
  np_object_release(
      &np_test_spawn(engine->workers[0], scope, 0, 2, step_nap, &one)->object);
  assert_int_equal(np_test_wait(engine, scope), NP_OK);
  assert_int_equal(count, 1);
  assert_true(bubble->timers.now == 61 * NP_SECOND);
  leave_bubble(engine, bubble);
  np_test_leave(engine, scope);
  np_test_close(engine);
}

int main(void) {
  alarm(110);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_renews),
      cmocka_unit_test(test_renewed_slots),
      cmocka_unit_test(test_spawns_while_unwinding),
      cmocka_unit_test(test_no_cancel_inside_a_shield),
      cmocka_unit_test(test_bubble_time),
      cmocka_unit_test(test_bubble_deadlock),
      cmocka_unit_test(test_bubble_keeps_its_tasks),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Closing with tasks in every state, and with some that will not go. */
#include "sched/testing.h"

static np_channel *quiet;

/* Ignores every cancel. */
static void step_stubborn(np_worker *worker, np_task *task) {
  np_waker *me = &worker->waker;
  task->waiter.shielded = true;
  if (np_waker_check(me) == NP_YIELD) return;
  np_value value = np_text("a text of more than fourteen bytes");
  int32_t status = np_channel_send(me, quiet, &value, true);
  np_value_drop(&value);
  if (status == NP_CANCELED) np_waiter_step_aside(me); /* And once more. */
}

/* Always has something to do. */
static void step_restless(np_worker *worker, np_task *task) {
  (void)task;
  np_waiter_step_aside(&worker->waker);
}

/* Opens a scope with a task on the other worker, and waits for it for ever. Its
 * reference goes with the task, as a Lua state's would. */
static void step_scope_elsewhere(np_worker *worker, np_task *task) {
  np_waker *me = &worker->waker;
  np_context **scope = task->state;
  if (*scope == NULL) {
    *scope = np_context_open(me, task->scope);
    np_scope_enter(me, *scope);
    np_object_release(&np_test_spawn(worker, *scope, 0, 3 - worker->number,
                                     step_restless, NULL)
                           ->object);
  }
  if (np_scope_wait(me, *scope) == NP_OK) np_test_end(worker, task);
}

static void test_close_with_a_scope_over_two_workers(void **state) {
  (void)state;
  int64_t before = np_alloc_live();
  for (int round = 0; round < 10; round++) {
    np_engine *engine = np_test_engine(2);
    np_context *scopes[2] = {NULL, NULL};
    for (uint32_t i = 0; i < 2; i++)
      np_object_release(&np_test_spawn(engine->workers[0], engine->root, 0,
                                       i + 1, step_scope_elsewhere, &scopes[i])
                             ->object);
    np_test_pump(engine, np_clock_now() + 5 * NP_MS);
    assert_int_equal(np_engine_close(engine, 10 * NP_MS), NP_OK);
    for (int i = 0; i < 2; i++)
      if (scopes[i] != NULL) np_object_release(&scopes[i]->object);
  }
  assert_int_equal(np_alloc_live(), before);
}

static void test_close_unwinds_parked_tasks(void **state) {
  (void)state;
  int64_t before = np_alloc_live();
  for (uint32_t threads = 0; threads < 4; threads++) {
    np_engine *engine = np_test_engine(threads);
    np_outcome *outcomes[20];
    for (uint32_t i = 0; i < 20; i++)
      outcomes[i] = np_test_spawn(engine->workers[0], engine->root, 0,
                                  i % (threads + 1), np_step_wait, NULL);
    if (threads % 2 == 0) np_test_settle(engine);
    np_test_close(engine);
    for (int i = 0; i < 20; i++) {
      assert_int_equal(np_outcome_state(outcomes[i]), NP_TASK_CANCELED);
      np_object_release(&outcomes[i]->object);
    }
  }
  assert_int_equal(np_alloc_live(), before);
}

static void test_close_drops_who_will_not_go(void **state) {
  (void)state;
  int64_t before = np_alloc_live();
  quiet = np_channel_open(0, NP_BLOCK, true);
  np_step *steps[] = {step_stubborn, step_restless};
  for (int kind = 0; kind < 2; kind++) {
    np_engine *engine = np_test_engine(2);
    np_outcome *outcomes[6];
    for (uint32_t i = 0; i < 6; i++)
      outcomes[i] = np_test_spawn(engine->workers[0], engine->root, 0, i % 3,
                                  steps[kind], NULL);
    np_test_pump(engine, np_clock_now() + 5 * NP_MS);
    int64_t start = np_clock_now();
    assert_int_equal(np_engine_close(engine, 50 * NP_MS), NP_OK);
    assert_true(np_clock_now() - start < 20 * NP_SECOND);
    for (int i = 0; i < 6; i++) {
      assert_int_equal(np_outcome_state(outcomes[i]), NP_TASK_CANCELED);
      np_object_release(&outcomes[i]->object);
    }
    assert_int_equal(quiet->object.enlisted, 0);
    assert_true(np_list_empty(&quiet->senders));
  }
  np_object_release(&quiet->object);
  assert_int_equal(np_alloc_live(), before);
}

int main(void) {
  alarm(110);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_close_unwinds_parked_tasks),
      cmocka_unit_test(test_close_drops_who_will_not_go),
      cmocka_unit_test(test_close_with_a_scope_over_two_workers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

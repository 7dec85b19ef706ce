#include "sched/testing.h"

static int64_t live_before;

static int open_one(void **state) {
  live_before = np_alloc_live();
  *state = np_test_engine(0);
  return 0;
}

static int close_one(void **state) {
  np_test_close(*state);
  assert_int_equal(np_alloc_live(), live_before);
  return 0;
}

static int ended;
static void step_count(np_worker *worker, np_task *task) {
  ended++;
  np_test_end(worker, task);
}

static void test_waits_for_all(void **state) {
  np_engine *engine = *state;
  np_context *scope = np_test_scope(engine);
  assert_int_equal(np_test_wait(engine, scope), NP_OK); /* Nothing to wait. */
  ended = 0;
  for (int i = 0; i < 100; i++) np_test_go(engine, scope, 0, step_count, NULL);
  assert_int_equal(scope->working, 100);
  assert_int_equal(np_test_wait(engine, scope), NP_OK);
  assert_int_equal(ended, 100);
  assert_int_equal(scope->working, 0);
  assert_int_equal(engine->workers[0]->live_tasks, 0);
  np_test_leave(engine, scope);
}

/* A task that starts two more, three generations deep. */
static void step_family(np_worker *worker, np_task *task) {
  intptr_t depth = (intptr_t)task->state;
  for (int i = 0; depth > 0 && i < 2; i++)
    np_test_go(worker->engine, task->scope, 0, step_family,
               (void *)(depth - 1));
  step_count(worker, task);
}

static void test_tasks_of_tasks(void **state) {
  np_engine *engine = *state;
  np_context *scope = np_test_scope(engine);
  ended = 0;
  np_test_go(engine, scope, 0, step_family, (void *)3);
  assert_int_equal(np_test_wait(engine, scope), NP_OK);
  assert_int_equal(ended, 15);
  np_test_leave(engine, scope);
}

/* --- daemons -------------------------------------------------------------- */

static void test_daemons_are_canceled_last(void **state) {
  np_engine *engine = *state;
  np_context *scope = np_test_scope(engine);
  np_task *daemons[3];
  for (int i = 0; i < 3; i++) {
    daemons[i] = np_test_go(engine, scope, NP_TASK_DAEMON, np_step_wait, NULL);
    assert_non_null(daemons[i]->outcome);
  }
  np_outcome *outcome = np_task_outcome(daemons[1]);
  np_test_settle(engine); /* They wait. */
  np_task *worker_task = np_test_go(engine, scope, 0, np_step_wait, NULL);
  np_test_settle(engine);
  assert_int_equal(scope->working, 1);
  assert_int_equal(scope->daemons, 3);
  np_outcome *work = np_task_outcome(worker_task);
  np_outcome_cancel(&engine->workers[0]->waker, work, np_nothing);
  assert_int_equal(np_test_wait(engine, scope), NP_OK);
  assert_int_equal(scope->daemons, 0);
  assert_int_equal(np_context_state(scope), NP_OK); /* Nothing failed. */
  assert_int_equal(np_outcome_state(outcome), NP_TASK_CANCELED);
  np_object_release(&outcome->object);
  np_object_release(&work->object);
  np_test_leave(engine, scope);
}

/* Unwinding, it starts another. */
static void step_hydra(np_worker *worker, np_task *task) {
  intptr_t heads = (intptr_t)task->state;
  if (worker->waker.front.code != NP_CANCELED &&
      np_wait_bare(&worker->waker) != NP_CANCELED)
    return;
  if (heads > 0)
    np_test_go(worker->engine, task->scope, NP_TASK_DAEMON, step_hydra,
               (void *)(heads - 1));
  ended++;
  np_task_end(worker, task, NP_TASK_CANCELED, np_nothing);
}

static void test_daemons_of_daemons(void **state) {
  np_engine *engine = *state;
  np_context *scope = np_test_scope(engine);
  ended = 0;
  np_test_go(engine, scope, NP_TASK_DAEMON, step_hydra, (void *)3);
  assert_int_equal(np_test_wait(engine, scope), NP_OK);
  assert_int_equal(ended, 4);
  np_test_leave(engine, scope);
}

/* --- failures ------------------------------------------------------------- */

static void step_fail(np_worker *worker, np_task *task) {
  double number = (double)(intptr_t)task->state;
  np_scope_fail(&worker->waker, task->scope, np_value_number(number));
  np_task_end(worker, task, NP_TASK_FAILED, np_nothing);
}

static void test_first_failure_cancels_the_rest(void **state) {
  np_engine *engine = *state;
  np_context *scope = np_test_scope(engine);
  for (int i = 0; i < 5; i++) np_test_go(engine, scope, 0, np_step_wait, NULL);
  for (intptr_t i = 1; i < 4; i++)
    np_test_go(engine, scope, 0, step_fail, (void *)i);
  assert_int_equal(np_test_wait(engine, scope), NP_OK);
  assert_int_equal(np_context_state(scope), NP_CANCELED);
  assert_true(scope->error.as.number == 1);
  assert_true(scope->cause.as.number == 1);
  np_test_leave(engine, scope);
}

static void test_later_failures_are_dropped(void **state) {
  np_engine *engine = *state;
  np_waker *me = &engine->workers[0]->waker;
  np_context *scope = np_test_scope(engine);
  np_value first = np_text("an error of more than fourteen bytes");
  np_value second = np_text("a follow-up of more than fourteen bytes");
  assert_true(np_scope_fail(me, scope, first));
  assert_false(np_scope_fail(me, scope, second));
  assert_ptr_equal(scope->error.as.blob, first.as.blob);
  np_test_leave(engine, scope); /* Nobody took it: it goes with the scope. */
}

/* Suspect: an error kept as a slot, which nobody takes. */
static void test_slot_of_an_error_comes_back(void **state) {
  np_engine *engine = *state;
  np_waker *me = &engine->workers[0]->waker;
  for (int taken = 0; taken < 2; taken++) {
    np_context *scope = np_test_scope(engine);
    uint32_t slot = np_slot_take(me);
    assert_true(np_scope_fail(me, scope, np_value_slot(slot)));
    assert_int_equal(scope->cause.tag, NP_NOTHING); /* It may travel. */
    if (taken) {
      np_slot_give(me, scope->error.as.slot);
      scope->error.tag = NP_NOTHING;
    }
    np_test_leave(engine, scope);
    assert_int_equal(me->free_count, me->slot_high);
  }
}

/* --- the owner ------------------------------------------------------------ */

typedef struct owner {
  np_context *scope, *outer;
  int stage, cancels;
  bool shielded;
  int32_t last;
} owner;

/* Opens a scope with a task in it, and waits. */
static void step_owner(np_worker *worker, np_task *task) {
  owner *self = task->state;
  np_waker *me = &worker->waker;
  if (self->stage++ == 0) {
    self->outer = task->scope;
    task->waiter.shielded = self->shielded;
    self->scope = np_context_open(me, self->outer);
    np_scope_enter(me, self->scope);
    np_test_go(worker->engine, self->scope, 0, np_step_wait, NULL);
  } else if (me->front.code == NP_CANCELED) {
    self->cancels++;
  }
  self->last = np_scope_wait(me, self->scope);
  if (self->last != NP_OK) return;
  assert_null(self->scope->joiner);
  np_scope_leave(me, self->scope, self->outer);
  np_object_release(&self->scope->object);
  np_test_end(worker, task);
}

/* Its inner tasks unwind before it goes on, whether the cancel is for it alone
 * or comes from outside. */
static void test_canceled_owner_waits_on(void **state) {
  np_engine *engine = *state;
  np_waker *me = &engine->workers[0]->waker;
  for (int from_outside = 0; from_outside < 2; from_outside++) {
    np_context *scope = np_test_scope(engine);
    owner self = {0};
    np_task *task = np_test_go(engine, scope, 0, step_owner, &self);
    np_outcome *outcome = np_task_outcome(task);
    np_test_settle(engine);
    assert_int_equal(self.last, NP_PARKED);
    if (from_outside)
      np_context_end(me, scope, NP_CANCELED, np_nothing);
    else
      assert_int_equal(np_outcome_cancel(me, outcome, np_nothing), NP_OK);
    assert_int_equal(np_test_wait(engine, scope), NP_OK);
    assert_int_equal(self.cancels, from_outside ? 0 : 1); /* Deaf to it. */
    assert_int_equal(np_outcome_state(outcome), NP_TASK_SUCCEEDED);
    assert_int_equal(np_outcome_cancel(me, outcome, np_nothing), NP_DONE);
    np_object_release(&outcome->object);
    np_test_leave(engine, scope);
  }
}

static void test_shielded_owner_is_not_reached(void **state) {
  np_engine *engine = *state;
  np_waker *me = &engine->workers[0]->waker;
  np_context *scope = np_test_scope(engine);
  owner self = {.shielded = true};
  np_task *task = np_test_go(engine, scope, 0, step_owner, &self);
  np_outcome *outcome = np_task_outcome(task);
  np_test_settle(engine);
  assert_int_equal(np_outcome_cancel(me, outcome, np_nothing), NP_OK);
  np_test_settle(engine);
  assert_int_equal(np_context_state(self.scope), NP_OK);
  assert_int_equal(self.cancels, 0);
  np_context_end(me, scope, NP_CANCELED, np_nothing);
  assert_int_equal(np_test_wait(engine, scope), NP_OK);
  np_object_release(&outcome->object);
  np_test_leave(engine, scope);
}

/* A scope's wait that is taken back (a coroutine of the user's own): the end of
 * the tasks must not wake its owner out of what it waits for next. */
static void test_withdrawn_wait_is_forgotten(void **state) {
  np_engine *engine = *state;
  np_waker *me = &engine->workers[0]->waker;
  np_context *scope = np_test_scope(engine);
  np_test_go(engine, scope, 0, np_step_end, NULL);
  assert_int_equal(np_scope_wait(me, scope), NP_PUMP);
  assert_int_equal(np_waiter_withdraw(me), NP_STATE);
  assert_null(scope->joiner);
  assert_false(me->current->deaf);
  np_channel *channel = np_channel_open(0, NP_BLOCK, true);
  assert_int_equal(np_channel_recv(me, channel, true), NP_PUMP);
  np_test_settle(engine); /* The task ends. */
  assert_int_equal(scope->working, 0);
  assert_int_equal(np_channel_close(me, channel), NP_OK);
  assert_int_equal(np_test_pump(engine, NP_NEVER), NP_CLOSED);
  assert_int_equal(np_test_wait(engine, scope), NP_OK);
  np_object_release(&channel->object);
  np_test_leave(engine, scope);
}

/* A task dies of an error in the middle of a scope of its own. */
static void step_die_inside(np_worker *worker, np_task *task) {
  owner *self = task->state;
  np_waker *me = &worker->waker;
  if (self->stage++ == 0) {
    self->scope = np_context_open(me, task->scope);
    np_scope_enter(me, self->scope);
    np_test_go(worker->engine, self->scope, 0, np_step_wait, NULL);
    assert_int_equal(np_scope_wait(me, self->scope), NP_PARKED);
    return;
  }
  np_task_end(worker, task, NP_TASK_FAILED, np_nothing);
}

static void test_death_inside_a_scope(void **state) {
  np_engine *engine = *state;
  np_waker *me = &engine->workers[0]->waker;
  np_context *scope = np_test_scope(engine);
  owner self = {0};
  np_task *task = np_test_go(engine, scope, 0, step_die_inside, &self);
  np_outcome *outcome = np_task_outcome(task);
  np_test_settle(engine);
  assert_ptr_equal(self.scope->joiner, &task->waiter);
  np_outcome_cancel(me, outcome, np_nothing);
  np_test_settle(engine);
  assert_null(self.scope->joiner);
  assert_int_equal(scope->working, 0);
  np_context_end(me, self.scope, NP_CANCELED, np_nothing);
  np_test_settle(engine);
  assert_int_equal(self.scope->working, 0);
  np_object_release(&self.scope->object);
  np_object_release(&outcome->object);
  np_test_leave(engine, scope);
}

/* It parks, does not yield, and dies: its record must not stand in a list. */
static void step_die_enlisted(np_worker *worker, np_task *task) {
  assert_int_equal(np_channel_recv(&worker->waker, task->state, true),
                   NP_PARKED);
  np_task_end(worker, task, NP_TASK_FAILED, np_nothing);
}

static void test_death_while_enlisted(void **state) {
  np_engine *engine = *state;
  np_context *scope = np_test_scope(engine);
  np_channel *channel = np_channel_open(0, NP_BLOCK, true);
  np_test_go(engine, scope, 0, step_die_enlisted, channel);
  assert_int_equal(np_test_wait(engine, scope), NP_OK);
  assert_int_equal(channel->object.enlisted, 0);
  assert_true(np_list_empty(&channel->object.waits));
  np_object_release(&channel->object);
  np_test_leave(engine, scope);
}

int main(void) {
  alarm(110);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_waits_for_all),
      cmocka_unit_test(test_tasks_of_tasks),
      cmocka_unit_test(test_daemons_are_canceled_last),
      cmocka_unit_test(test_daemons_of_daemons),
      cmocka_unit_test(test_first_failure_cancels_the_rest),
      cmocka_unit_test(test_later_failures_are_dropped),
      cmocka_unit_test(test_slot_of_an_error_comes_back),
      cmocka_unit_test(test_canceled_owner_waits_on),
      cmocka_unit_test(test_shielded_owner_is_not_reached),
      cmocka_unit_test(test_withdrawn_wait_is_forgotten),
      cmocka_unit_test(test_death_inside_a_scope),
      cmocka_unit_test(test_death_while_enlisted),
  };
  return cmocka_run_group_tests(tests, open_one, close_one);
}

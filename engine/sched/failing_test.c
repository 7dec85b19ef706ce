/* Each allocation in turn fails, once. Nothing crashes, nothing is lost or
 * leaked, and somebody is told: a call says so, or the scope's error does. */
#include "sched/testing.h"

typedef struct scenario {
  np_engine *engine;
  np_context *scope;
  int errors; /* told, by whomever */
  int tasks, ended;
} scenario;

static void step_note(np_worker *worker, np_task *task) {
  scenario *self = task->state;
  self->ended++;
  np_test_end(worker, task);
}

static bool worked(scenario *self, bool ok) {
  if (!ok) self->errors++;
  return ok;
}

static void start_tasks(scenario *self) {
  np_worker *worker = self->engine->workers[0];
  for (int i = 0; i < 70; i++) { /* The slab grows once. */
    np_task *task =
        np_task_new(worker, self->scope, i % 7 ? 0 : NP_TASK_DAEMON);
    if (!worked(self, task != NULL)) continue;
    task->step = step_note;
    task->state = self;
    self->tasks++;
    np_ready_push(&worker->waker, &task->waiter);
    if (i % 10 != 1) continue;
    np_outcome *outcome = np_task_outcome(task);
    if (worked(self, outcome != NULL)) np_object_release(&outcome->object);
  }
}

static void spawn_tasks(scenario *self) {
  np_worker *worker = self->engine->workers[0];
  for (int i = 0; i < 5; i++) {
    np_task *task = np_task_spawn_new(worker, self->scope, 0);
    if (!worked(self, task != NULL)) continue;
    task->step = step_note;
    task->state = self;
    if (np_value_string(&task->payload, "more than fourteen bytes", 24) !=
        NP_OK)
      self->errors++;
    if (worked(self, np_engine_spawn(worker, task, 0) == NP_OK))
      self->tasks++;
    else
      np_task_end(worker, task, NP_TASK_CANCELED, np_nothing);
  }
}

static void use_channels(scenario *self) {
  np_waker *me = &self->engine->workers[0]->waker;
  for (int shared = 0; shared < 2; shared++) {
    np_channel *channel = np_channel_open(20, NP_BLOCK, shared != 0);
    if (!worked(self, channel != NULL)) continue;
    for (int i = 0; i < 20; i++) {
      if (!shared) {
        worked(self, np_channel_send_slot(me, channel, false) >= 0);
        continue;
      }
      np_value value;
      if (!worked(self, np_value_string(&value, "more than fourteen bytes",
                                        24) == NP_OK))
        continue;
      if (!worked(self, np_channel_send(me, channel, &value, false) == NP_OK))
        np_value_drop(&value);
    }
    np_object_release(&channel->object);
  }
}

static void use_select(scenario *self) {
  np_waker *me = &self->engine->workers[0]->waker;
  np_select *select = np_select_open(2);
  np_channel *shared = np_channel_open(0, NP_BLOCK, true);
  np_channel *local = np_channel_open(0, NP_BLOCK, false);
  if (worked(self, select != NULL) && worked(self, shared != NULL) &&
      worked(self, local != NULL)) {
    np_select_set(select, 0, &shared->object, true);
    worked(self, np_value_string(&select->cases[0].value,
                                 "more than fourteen bytes", 24) == NP_OK);
    np_select_set(select, 1, &local->object, true);
    int32_t status = np_select_run(me, select, true);
    if (worked(self, status == NP_PUMP))
      status = np_waiter_limit(me, status, 1e-9);
    if (status == NP_PUMP)
      np_test_pump(self->engine, NP_NEVER);
    else
      worked(self, status == NP_TIMEOUT);
    assert_int_equal(shared->object.enlisted + local->object.enlisted, 0);
  }
  np_select_free(select);
  if (shared != NULL) np_object_release(&shared->object);
  if (local != NULL) np_object_release(&local->object);
}

static void use_contexts(scenario *self) {
  np_waker *me = &self->engine->workers[0]->waker;
  np_context *made[4] = {np_context_open(me, self->scope),
                         np_context_open_detached(me, self->scope),
                         np_context_open_until(me, self->scope,
                                               np_clock_now() + NP_SECOND,
                                               np_nothing),
                         np_context_open_value(me, self->scope,
                                               np_value_number(1), np_nothing)};
  for (int i = 0; i < 4; i++)
    if (worked(self, made[i] != NULL)) np_object_release(&made[i]->object);
}

/* True if the failure was reached. */
static bool play(int64_t n) {
  scenario self = {0};
  np_alloc_fail_at(n);
  self.engine = np_engine_open(false, 1);
  if (!worked(&self, self.engine != NULL)) return np_alloc_fail_at(0) == 0;
  np_waker *me = &self.engine->workers[0]->waker;
  me->shuffle = 0;
  me->front.budget = NP_BUDGET;
  self.scope = np_context_open(me, self.engine->root);
  if (worked(&self, self.scope != NULL)) {
    np_scope_enter(me, self.scope);
    use_contexts(&self);
    me->front.budget = NP_BUDGET;
    use_channels(&self);
    me->front.budget = NP_BUDGET;
    use_select(&self);
    start_tasks(&self);
    spawn_tasks(&self);
    assert_int_equal(np_test_wait(self.engine, self.scope), NP_OK);
    np_test_leave(self.engine, self.scope);
    assert_int_equal(self.ended, self.tasks);
    assert_int_equal(me->free_count, me->slot_high);
  }
  bool reached = np_alloc_fail_at(0) == 0;
  assert_int_equal(self.errors != 0, reached);
  np_engine_close(self.engine, 0);
  return reached;
}

static void test_each_allocation(void **state) {
  (void)state;
  int64_t before = np_alloc_live(), n = 1;
  for (; play(n); n++)
    if (np_alloc_live() != before)
      fail_msg("allocation %d: %d blocks left", (int)n,
               (int)(np_alloc_live() - before));
  assert_int_equal(np_alloc_live(), before);
  assert_true(n > 100);
  print_message("%d allocations\n", (int)n - 1);
}

/* On another worker: a task that cannot begin fails its scope, or, kept apart
 * or under the root, leaves its error where it is looked for. */
static void test_a_task_that_cannot_begin(void **state) {
  (void)state;
  int64_t before = np_alloc_live();
  for (int kind = 0; kind < 6; kind++) {
    np_engine *engine = np_test_engine(1);
    np_worker *worker = engine->workers[0];
    np_context *scope = np_test_scope(engine);
    bool isolated = kind % 3 == 1, under_root = kind % 3 == 2;
    np_task *task = np_task_spawn_new(worker, under_root ? engine->root : scope,
                                      isolated ? NP_TASK_ISOLATED : 0);
    task->step = np_step_end;
    np_outcome *outcome = task->outcome;
    np_object_retain(&outcome->object);
    np_alloc_fail_at(1); /* Its record in the slab. */
    assert_int_equal(np_engine_spawn(worker, task, kind < 3 ? 0 : 1), NP_OK);
    while (np_outcome_state(outcome) == NP_TASK_LIVE)
      np_test_pump(engine, np_clock_now() + NP_MS);
    assert_int_equal(np_alloc_fail_at(0), 0);
    assert_int_equal(np_outcome_state(outcome), NP_TASK_FAILED);
    assert_int_equal(outcome->result.tag, NP_SHORT);
    np_object_release(&outcome->object);
    assert_int_equal(np_test_wait(engine, scope), NP_OK);
    assert_int_equal(scope->error.tag,
                     isolated || under_root ? NP_NOTHING : NP_SHORT);
    assert_int_equal(engine->root->error.tag,
                     under_root ? NP_SHORT : NP_NOTHING);
    assert_int_equal(np_context_state(engine->root), NP_OK);
    np_test_leave(engine, scope);
    np_test_close(engine);
  }
  assert_int_equal(np_alloc_live(), before);
}

int main(void) {
  alarm(110);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_each_allocation),
      cmocka_unit_test(test_a_task_that_cannot_begin),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <sched.h>

#include "sched/testing.h"

static bool is_quick(void) { return getenv("NEAP_TEST_QUICK") != NULL; }

/* --- starting ------------------------------------------------------------- */

static void test_opens_and_closes_many_times(void **state) {
  (void)state;
  int64_t before = np_alloc_live();
  for (uint32_t round = 0; round < (is_quick() ? 20u : 100u); round++)
    np_test_close(np_test_engine(round % 5));
  assert_int_equal(np_alloc_live(), before);
}

static void test_starts_more_later(void **state) {
  (void)state;
  np_engine *engine = np_test_engine(0);
  assert_int_equal(np_engine_start(engine, NP_WORKERS_MAX + 1, np_worker_loop),
                   NP_LIMIT);
  assert_int_equal(np_engine_start(engine, 0, np_worker_loop), NP_OK);
  const uint32_t counts[] = {1, 3, 2, 3, 5};
  uint32_t most = 0;
  for (int i = 0; i < 5; i++) {
    if (counts[i] > most) most = counts[i];
    assert_int_equal(np_engine_start(engine, counts[i], np_worker_loop), NP_OK);
    assert_int_equal(engine->thread_count, most);
  }
  np_test_close(engine);
}

static void fail_third(np_worker *worker) {
  if (worker->number == 3) {
    np_worker_report(worker, NP_NOMEM);
    return;
  }
  np_worker_report(worker, NP_OK);
  np_worker_loop(worker);
}

static void return_at_once(np_worker *worker) { (void)worker; }

static _Atomic int ran;
static void step_ran(np_worker *worker, np_task *task) {
  atomic_fetch_add(&ran, 1);
  np_test_end(worker, task);
}

/* A worker that does not come up and those after it are taken back. */
static void test_failing_workers_are_taken_back(void **state) {
  (void)state;
  int64_t before = np_alloc_live();
  np_engine *engine = np_test_engine(0);
  assert_int_equal(np_engine_start(engine, 5, fail_third), NP_NOMEM);
  assert_int_equal(engine->thread_count, 2);
  for (uint32_t i = 3; i <= 5; i++) assert_null(engine->workers[i]);
  np_context *scope = np_test_scope(engine);
  atomic_store(&ran, 0);
  for (uint32_t target = 0; target < 3; target++)
    np_object_release(
        &np_test_spawn(engine->workers[0], scope, 0, target, step_ran, NULL)
             ->object);
  assert_int_equal(np_test_wait(engine, scope), NP_OK);
  assert_int_equal(atomic_load(&ran), 3);
  np_test_leave(engine, scope);
  assert_int_equal(np_engine_start(engine, 4, return_at_once), NP_STATE);
  assert_int_equal(engine->thread_count, 2);
  assert_int_equal(np_engine_start(engine, 4, np_worker_loop), NP_OK);
  assert_int_equal(engine->thread_count, 4);
  np_test_close(engine);
  assert_int_equal(np_alloc_live(), before);
}

static void test_no_memory_to_start(void **state) {
  (void)state;
  int64_t before = np_alloc_live();
  for (int64_t n = 1;; n++) {
    np_engine *engine = np_test_engine(0);
    np_alloc_fail_at(n);
    np_status status = np_engine_start(engine, 3, np_worker_loop);
    bool reached = np_alloc_fail_at(0) == 0;
    if (status != NP_OK) {
      assert_int_equal(status, NP_NOMEM);
      assert_true(engine->thread_count < 3);
    }
    np_test_close(engine);
    assert_int_equal(np_alloc_live(), before);
    if (!reached) break;
  }
}

static void test_no_memory_to_open(void **state) {
  (void)state;
  int64_t before = np_alloc_live();
  for (int64_t n = 1;; n++) {
    np_alloc_fail_at(n);
    np_engine *engine = np_engine_open(false, 1);
    bool reached = np_alloc_fail_at(0) == 0;
    assert_true((engine == NULL) == reached);
    np_engine_close(engine, 0);
    assert_int_equal(np_alloc_live(), before);
    if (!reached) break;
  }
}

/* --- spawning ------------------------------------------------------------- */

static void step_number(np_worker *worker, np_task *task) {
  np_task_end(worker, task, NP_TASK_SUCCEEDED,
              np_value_number((double)worker->number));
}

static double result_of(np_outcome *outcome) {
  np_lock_take(&outcome->object.lock);
  assert_int_equal(outcome->state, NP_TASK_SUCCEEDED);
  double number = outcome->result.as.number;
  np_lock_leave(&outcome->object.lock);
  return number;
}

/* From the pool to workers, never to the caller's own; pinned where asked. */
static void test_spawns_and_joins(void **state) {
  (void)state;
  int64_t before = np_alloc_live();
  for (uint32_t threads = 0; threads < 4; threads++) {
    np_engine *engine = np_test_engine(threads);
    np_worker *worker = engine->workers[0];
    np_context *scope = np_test_scope(engine);
    enum {
      COUNT = 200
    };
    np_outcome *outcomes[COUNT];
    for (uint32_t i = 0; i < COUNT; i++)
      outcomes[i] =
          np_test_spawn(worker, scope, 0, i % (threads + 1), step_number, NULL);
    for (uint32_t i = 0; i < COUNT; i++) {
      int32_t status;
      while ((status = np_outcome_wait(&worker->waker, outcomes[i])) != NP_OK)
        if (status == NP_PUMP || status == NP_YIELD)
          np_test_pump(engine, NP_NEVER);
      double on = result_of(outcomes[i]);
      uint32_t target = i % (threads + 1);
      if (target != 0)
        assert_true(on == target);
      else
        assert_true(threads == 0 ? on == 0 : on >= 1 && on <= threads);
      assert_null(outcomes[i]->task);
      np_object_release(&outcomes[i]->object);
    }
    assert_int_equal(np_test_wait(engine, scope), NP_OK);
    np_test_leave(engine, scope);
    np_test_close(engine);
  }
  assert_int_equal(np_alloc_live(), before);
}

static void test_refusals(void **state) {
  (void)state;
  np_engine *engine = np_test_engine(1);
  np_worker *worker = engine->workers[0];
  np_context *scope = np_test_scope(engine);
  np_task *task = np_task_spawn_new(worker, scope, 0);
  assert_int_equal(np_engine_spawn(worker, task, 2), NP_RANGE);
  atomic_fetch_add(&engine->pool_count, NP_POOL_MAX);
  assert_int_equal(np_engine_spawn(worker, task, 0), NP_LIMIT);
  atomic_fetch_sub(&engine->pool_count, NP_POOL_MAX);
  np_task_end(worker, task, NP_TASK_CANCELED, np_nothing); /* Still ours. */
  assert_int_equal(np_test_wait(engine, scope), NP_OK);
  np_test_leave(engine, scope);
  np_test_close(engine);
}

/* Tasks that spawn tasks, from every worker. */
static void step_tree(np_worker *worker, np_task *task) {
  intptr_t depth = (intptr_t)task->state;
  atomic_fetch_add(&ran, 1);
  for (uint32_t i = 0; depth > 0 && i < 3; i++) {
    uint32_t target = i == 2 ? 1 + (uint32_t)depth % 3 : 0;
    np_object_release(&np_test_spawn(worker, task->scope, 0, target, step_tree,
                                     (void *)(depth - 1))
                           ->object);
  }
  np_test_end(worker, task);
}

static void test_spawns_from_everywhere(void **state) {
  (void)state;
  int64_t before = np_alloc_live();
  np_engine *engine = np_test_engine(3);
  np_context *scope = np_test_scope(engine);
  intptr_t depth = is_quick() ? 6 : 8;
  int wanted = 0;
  for (int i = 0, level = 1; i <= depth; i++, level *= 3) wanted += level;
  atomic_store(&ran, 0);
  np_object_release(
      &np_test_spawn(engine->workers[0], scope, 0, 0, step_tree, (void *)depth)
           ->object);
  assert_int_equal(np_test_wait(engine, scope), NP_OK);
  assert_int_equal(atomic_load(&ran), wanted);
  np_test_leave(engine, scope);
  np_test_close(engine);
  assert_int_equal(np_alloc_live(), before);
}

/* A record is used again, under another generation. */
static void test_records_are_reused(void **state) {
  (void)state;
  np_engine *engine = np_test_engine(0);
  np_worker *worker = engine->workers[0];
  np_context *scope = np_test_scope(engine);
  np_task *first = np_test_go(engine, scope, 0, np_step_end, NULL);
  uint32_t slot = first->slot, generation = first->generation;
  assert_ptr_equal(np_task_find(worker, slot, generation), first);
  np_test_settle(engine);
  assert_null(np_task_find(worker, slot, generation));
  np_task *second = np_test_go(engine, scope, 0, np_step_end, NULL);
  assert_int_equal(second->slot, slot);
  generation = second->generation;
  assert_null(np_task_find(worker, slot, first->generation - 1));
  assert_null(np_task_find(worker, 12345, 0));
  np_test_settle(engine);
  np_object_release(&np_test_spawn(worker, scope, 0, 0, np_step_end, NULL)
                         ->object); /* Adopted: another record. */
  assert_null(np_task_find(worker, slot, generation));
  for (int i = 0; i < 10000; i++) {
    np_test_go(engine, scope, 0, np_step_end, NULL);
    np_test_settle(engine);
  }
  assert_true(worker->task_high <= 2);
  np_test_leave(engine, scope);
  np_test_close(engine);
}

/* --- canceling and joining across workers --------------------------------- */

typedef struct busy {
  _Atomic int stage;
  _Atomic int32_t heard;
} busy;

/* Runs without a blocking call until it is let go, then makes one. */
static void step_busy(np_worker *worker, np_task *task) {
  busy *self = task->state;
  atomic_store(&self->stage, 1);
  while (atomic_load(&self->stage) != 2) sched_yield();
  int32_t status = np_waker_check(&worker->waker);
  while (status == NP_OK) status = np_waker_check(&worker->waker);
  if (status == NP_YIELD) return; /* Hostile builds. */
  atomic_store(&self->heard, status);
  np_task_end(worker, task, NP_TASK_CANCELED, np_nothing);
}

static void pump_until(np_engine *engine, _Atomic int *stage, int wanted) {
  while (atomic_load(stage) != wanted) {
    np_test_pump(engine, 0);
    sched_yield();
  }
}

static void test_cancels_running_parked_and_unbegun(void **state) {
  (void)state;
  np_engine *engine = np_test_engine(1);
  np_worker *worker = engine->workers[0];
  np_waker *me = &worker->waker;
  np_context *scope = np_test_scope(engine);
  busy runs = {0};
  np_outcome *outcomes[3];
  outcomes[0] = np_test_spawn(worker, scope, 0, 0, np_step_wait, NULL);
  outcomes[1] = np_test_spawn(worker, scope, 0, 0, step_busy, &runs);
  pump_until(engine, &runs.stage, 1);
  outcomes[2] = np_test_spawn(worker, scope, 0, 0, np_step_wait, NULL);
  for (int i = 0; i < 3; i++) {
    assert_int_equal(np_outcome_cancel(me, outcomes[i], np_value_number(i)),
                     NP_OK);
    assert_int_equal(np_outcome_cancel(me, outcomes[i], np_nothing), NP_OK);
    assert_true(outcomes[i]->cause.as.number == i); /* The first stays. */
  }
  atomic_store(&runs.stage, 2);
  assert_int_equal(np_test_wait(engine, scope), NP_OK);
  assert_int_equal(atomic_load(&runs.heard), NP_CANCELED);
  for (int i = 0; i < 3; i++) {
    assert_int_equal(np_outcome_state(outcomes[i]), NP_TASK_CANCELED);
    np_object_release(&outcomes[i]->object);
  }
  np_test_leave(engine, scope);
  np_test_close(engine);
}

typedef struct joined {
  np_outcome *target;
  _Atomic int joins, errors;
} joined;

static void step_join(np_worker *worker, np_task *task) {
  joined *self = task->state;
  int32_t status = np_outcome_wait(&worker->waker, self->target);
  if (status == NP_PARKED || status == NP_YIELD) return;
  if (status != NP_OK) atomic_fetch_add(&self->errors, 1);
  atomic_fetch_add(&self->joins, 1);
  np_test_end(worker, task);
}

static void test_many_join_one(void **state) {
  (void)state;
  int64_t before = np_alloc_live();
  np_engine *engine = np_test_engine(3);
  np_worker *worker = engine->workers[0];
  np_context *scope = np_test_scope(engine);
  for (int round = 0; round < 50; round++) {
    busy runs = {0};
    joined self = {.target =
                       np_test_spawn(worker, scope, 0, 1, step_busy, &runs)};
    for (uint32_t i = 0; i < 20; i++)
      np_object_release(
          &np_test_spawn(worker, scope, 0, 2 + i % 2, step_join, &self)
               ->object);
    pump_until(engine, &runs.stage, 1);
    np_outcome_cancel(&worker->waker, self.target, np_nothing);
    atomic_store(&runs.stage, 2);
    assert_int_equal(np_test_wait(engine, scope), NP_OK);
    assert_int_equal(atomic_load(&self.joins), 20);
    assert_int_equal(atomic_load(&self.errors), 0);
    np_object_release(&self.target->object);
  }
  np_test_leave(engine, scope);
  np_test_close(engine);
  assert_int_equal(np_alloc_live(), before);
}

/* Daemons on other workers: some end by themselves just then, some were never
 * begun. */
static void step_short_daemon(np_worker *worker, np_task *task) {
  intptr_t rounds = (intptr_t)task->state;
  if (worker->waker.front.code != NP_CANCELED && rounds > 0) {
    task->state = (void *)(rounds - 1);
    np_waiter_step_aside(&worker->waker);
    return;
  }
  np_task_end(worker, task, NP_TASK_SUCCEEDED, np_nothing);
}

static void test_daemons_elsewhere(void **state) {
  (void)state;
  int64_t before = np_alloc_live();
  np_engine *engine = np_test_engine(2);
  np_worker *worker = engine->workers[0];
  int rounds = is_quick() ? 200 : 1000;
  for (int round = 0; round < rounds; round++) {
    np_context *scope = np_test_scope(engine);
    for (intptr_t i = 0; i < 6; i++)
      np_object_release(&np_test_spawn(worker, scope, NP_TASK_DAEMON,
                                       (uint32_t)i % 3,
                                       i < 3 ? step_short_daemon : np_step_wait,
                                       (void *)(intptr_t)(round % 7))
                             ->object);
    assert_int_equal(np_test_wait(engine, scope), NP_OK);
    assert_int_equal(scope->daemons, 0);
    np_test_leave(engine, scope);
  }
  np_test_close(engine);
  assert_int_equal(np_alloc_live(), before);
}

int main(void) {
  alarm(110);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_opens_and_closes_many_times),
      cmocka_unit_test(test_starts_more_later),
      cmocka_unit_test(test_failing_workers_are_taken_back),
      cmocka_unit_test(test_no_memory_to_start),
      cmocka_unit_test(test_no_memory_to_open),
      cmocka_unit_test(test_spawns_and_joins),
      cmocka_unit_test(test_refusals),
      cmocka_unit_test(test_spawns_from_everywhere),
      cmocka_unit_test(test_records_are_reused),
      cmocka_unit_test(test_cancels_running_parked_and_unbegun),
      cmocka_unit_test(test_many_join_one),
      cmocka_unit_test(test_daemons_elsewhere),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

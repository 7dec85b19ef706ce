/* testing.h - engines for tests: tasks are C step functions, the test is the
 * code outside any task of worker 0. */
#ifndef NP_SCHED_TESTING_H
#define NP_SCHED_TESTING_H
#include "csp/testing.h"
#include "sched/engine.h"

#define NP_MS (NP_SECOND / 1000)
static const np_value np_nothing = {.tag = NP_NOTHING};

static inline np_engine *np_test_engine(uint32_t threads) {
  np_engine *engine = np_engine_open(false, 1);
  assert_non_null(engine);
  engine->main_waiter = &engine->workers[0]->outside.waiter;
  engine->workers[0]->waker.shuffle = 0;
  if (threads != 0)
    assert_int_equal(np_engine_start(engine, threads, np_worker_loop), NP_OK);
  return engine;
}

/* Runs worker 0 until the outside is woken: its code; NP_IDLE at `until`. */
static inline int32_t np_test_pump(np_engine *engine, int64_t until) {
  np_worker *worker = engine->workers[0];
  np_task *task;
  while ((task = np_worker_next(worker, until)) != NULL) {
    if (task == &worker->outside) return worker->waker.front.code;
    np_worker_step(worker, task);
  }
  return NP_IDLE;
}

/* Runs what is ready on worker 0. */
static inline void np_test_settle(np_engine *engine) {
  assert_int_equal(np_test_pump(engine, 0), NP_IDLE);
}

/* A scope of the outside, under the root. */
static inline np_context *np_test_scope(np_engine *engine) {
  np_waker *me = &engine->workers[0]->waker;
  np_context *scope = np_context_open(me, engine->root);
  assert_non_null(scope);
  return np_scope_enter(me, scope);
}

/* Waits for its tasks; NP_OK, or NP_DEADLOCK (and then it is canceled). */
static inline int32_t np_test_wait(np_engine *engine, np_context *scope) {
  np_waker *me = &engine->workers[0]->waker;
  int32_t answer = NP_OK;
  for (;;) {
    int32_t status = np_scope_wait(me, scope);
    if (status == NP_OK) return answer;
    assert_int_equal(status, NP_PUMP);
    if (np_test_pump(engine, NP_NEVER) != NP_DEADLOCK) continue;
    answer = NP_DEADLOCK;
    np_context_end(me, scope, NP_CANCELED, np_nothing);
  }
}

static inline void np_test_leave(np_engine *engine, np_context *scope) {
  np_scope_leave(&engine->workers[0]->waker, scope, engine->root);
  np_object_release(&scope->object);
}

typedef void np_step(np_worker *worker, np_task *task);

/* A ready task of worker 0. */
static inline np_task *np_test_go(np_engine *engine, np_context *scope,
                                  uint32_t options, np_step *step,
                                  void *state) {
  np_worker *worker = engine->workers[0];
  np_task *task = np_task_new(worker, scope, options);
  assert_non_null(task);
  task->step = step;
  task->state = state;
  np_ready_push(&worker->waker, &task->waiter);
  return task;
}

/* From any worker; the outcome, a reference of the caller's. */
static inline np_outcome *np_test_spawn(np_worker *from, np_context *scope,
                                        uint32_t options, uint32_t target,
                                        np_step *step, void *state) {
  np_task *task = np_task_spawn_new(from, scope, options);
  assert_non_null(task);
  task->step = step;
  task->state = state;
  np_outcome *outcome = task->outcome;
  np_object_retain(&outcome->object);
  assert_int_equal(np_engine_spawn(from, task, target), NP_OK);
  return outcome;
}

static inline void np_test_end(np_worker *worker, np_task *task) {
  np_task_end(worker, task, NP_TASK_SUCCEEDED, np_nothing);
}

/* Steps: one that ends at once; one that waits until it is canceled. */
static inline void np_step_end(np_worker *worker, np_task *task) {
  np_test_end(worker, task);
}
static inline void np_step_wait(np_worker *worker, np_task *task) {
  if (worker->waker.front.code == NP_CANCELED ||
      np_wait_bare(&worker->waker) == NP_CANCELED)
    np_task_end(worker, task, NP_TASK_CANCELED, np_nothing);
}

static inline void np_test_close(np_engine *engine) {
  assert_int_equal(np_engine_close(engine, NP_SECOND), NP_OK);
}

#endif

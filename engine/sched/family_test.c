/* Scopes within scopes over many workers: children of all sorts, here and
 * elsewhere, daemons, failures, cancels and deadlines at random. When a scope's
 * wait is over, every child of it has ended; no wake is lost; all memory comes
 * back. time limit: 200 */
#include <stdio.h>

#include "sched/testing.h"

typedef struct node node;
struct node {
  node *parent;
  np_random random;
  int depth, stage, yields;
  bool daemon;
  np_context *scope, *outer;
  _Atomic int live; /* children that have not ended */
  np_outcome *children[6];
  int child_count;
  node *kin;              /* children's records, freed when all have ended */
  _Atomic int64_t *ended; /* of the run */
};

static uint32_t draw(node *self, uint32_t below) {
  return np_random_below(&self->random, below);
}

static void step_node(np_worker *worker, np_task *task);

static void end_node(node *self, np_worker *worker, np_task *task) {
  if (draw(self, 40) == 0)
    np_scope_fail(&worker->waker, task->scope,
                  np_text("an error of more than fourteen bytes"));
  atomic_fetch_add_explicit(self->ended, 1, memory_order_relaxed);
  if (self->parent != NULL) atomic_fetch_sub(&self->parent->live, 1);
  np_task_end(worker, task, NP_TASK_SUCCEEDED, np_nothing);
}

static void start_child(node *self, np_worker *worker, node *child, int at) {
  *child = (node){.parent = self,
                  .depth = self->depth - 1,
                  .daemon = draw(self, 4) == 0,
                  .ended = self->ended};
  np_random_seed(&child->random, np_random_next(&self->random));
  uint32_t options = child->daemon ? NP_TASK_DAEMON : 0;
  uint32_t threads = worker->engine->thread_count;
  atomic_fetch_add(&self->live, 1);
  np_outcome *outcome;
  if (draw(self, 3) == 0) {
    np_task *task = np_task_new(worker, self->scope, options);
    task->step = step_node;
    task->state = child;
    outcome = np_task_outcome(task);
    np_ready_push(&worker->waker, &task->waiter);
  } else {
    uint32_t target = draw(self, 3) == 0 ? 1 + draw(self, threads) : 0;
    outcome =
        np_test_spawn(worker, self->scope, options, target, step_node, child);
  }
  self->children[at] = outcome;
}

static void begin_family(node *self, np_worker *worker, np_task *task) {
  np_waker *me = &worker->waker;
  self->outer = task->waiter.context;
  if (draw(self, 4) == 0)
    self->scope = np_context_open_until(me, self->outer,
                                        np_clock_now() + draw(self, 200) * 1000,
                                        np_nothing);
  else
    self->scope = np_context_open(me, self->outer);
  np_scope_enter(me, self->scope);
  self->child_count = 1 + (int)draw(self, 6);
  self->kin = np_alloc((size_t)self->child_count * sizeof *self->kin);
  for (int i = 0; i < self->child_count; i++)
    start_child(self, worker, &self->kin[i], i);
  for (int i = 0; i < self->child_count; i++)
    if (draw(self, 8) == 0)
      np_outcome_cancel(me, self->children[i], np_text("a cause, long enough"));
  if (draw(self, 20) == 0)
    np_context_end(me, self->scope, NP_CANCELED, np_nothing);
}

static void step_family(node *self, np_worker *worker, np_task *task) {
  np_waker *me = &worker->waker;
  if (self->stage++ == 0) begin_family(self, worker, task);
  int32_t status = np_scope_wait(me, self->scope);
  if (status == NP_PARKED) return;
  if (status != NP_OK || atomic_load(&self->live) != 0) {
    fprintf(stderr, "status %d, %d children live\n", status,
            atomic_load(&self->live));
    abort();
  }
  for (int i = 0; i < self->child_count; i++) {
    if (self->kin[i].depth < 0) abort();
    np_object_release(&self->children[i]->object);
  }
  np_free(self->kin);
  np_scope_leave(me, self->scope, self->outer);
  np_object_release(&self->scope->object);
  end_node(self, worker, task);
}

/* A leaf gives way a few times, or sleeps; a daemon's sleep has no end. */
static void step_leaf(node *self, np_worker *worker, np_task *task) {
  np_waker *me = &worker->waker;
  if (self->stage++ == 0) self->yields = (int)draw(self, 4);
  int32_t code = self->stage == 1 ? NP_OK : me->front.code;
  if (code == NP_OK && self->yields-- > 0) {
    np_waiter_step_aside(me);
    return;
  }
  if (code == NP_OK && draw(self, 2) == 0) {
    code = np_wait_bare(me);
    if (!self->daemon) code = np_waiter_limit(me, code, draw(self, 50) * 1e-6);
    if (code == NP_PARKED) return;
  }
  end_node(self, worker, task);
}

static void step_node(np_worker *worker, np_task *task) {
  node *self = task->state;
  if (self->depth > 0)
    step_family(self, worker, task);
  else
    step_leaf(self, worker, task);
}

static int64_t run(uint32_t threads, int families, int depth, uint64_t seed) {
  int64_t before = np_alloc_live();
  np_engine *engine = np_engine_open(false, seed);
  engine->main_waiter = &engine->workers[0]->outside.waiter;
  if (seed % 2 != 0) engine->spin_threads = threads;
  assert_int_equal(np_engine_start(engine, threads, np_worker_loop), NP_OK);
  _Atomic int64_t ended = 0;
  for (int i = 0; i < families; i++) {
    np_context *scope = np_test_scope(engine);
    node *top = np_alloc_zero(sizeof *top);
    top->depth = depth;
    top->ended = &ended;
    np_random_seed(&top->random, seed * 1000003 + (uint64_t)i);
    np_object_release(
        &np_test_spawn(engine->workers[0], scope, 0, 0, step_node, top)
             ->object);
    assert_int_equal(np_test_wait(engine, scope), NP_OK); /* No deadlock. */
    assert_int_equal(scope->working + scope->daemons, 0);
    np_free(top);
    np_test_leave(engine, scope);
  }
  np_test_close(engine);
  assert_int_equal(np_alloc_live(), before);
  return atomic_load(&ended);
}

static void test_families(void **state) {
  (void)state;
  const uint32_t threads[] = {1, 2, 3, 7};
  const char *asked = getenv("NEAP_TEST_SEED");
  uint64_t seed = asked != NULL ? strtoull(asked, NULL, 10) : 1;
  int families = getenv("NEAP_TEST_QUICK") != NULL ? 40 : 200;
  if (getenv("NEAP_TEST_OPS") != NULL) families = 4000;
  int64_t ended = 0;
  for (uint64_t i = 0; i < 4; i++) {
    ended += run(threads[i], families, 4, seed + i);
    ended += run(threads[i], families * 5, 1, seed + 10 + i);
  }
  print_message("%d tasks\n", (int)ended);
}

int main(void) {
  alarm(getenv("NEAP_TEST_OPS") != NULL ? 3000 : 190);
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_families)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

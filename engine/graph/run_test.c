/* Graphs without Lua: built, planned, run and canceled by C alone, and each
 * allocation of it made to fail. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "graph/segment.h"

static char root[64];

static void write_file(const char *name, const char *text) {
  char path[256];
  snprintf(path, sizeof path, "%s/%s", root, name);
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  fputs(text, file);
  fclose(file);
}

static int begin(void **state) {
  (void)state;
  strcpy(root, "/tmp/neap_run_XXXXXX");
  if (mkdtemp(root) == NULL) return -1;
  write_file("a", "the cat\nthe dog\n\nthe end");
  write_file("b", "a cat\ta dog\nthe\n");
  return 0;
}

static int end(void **state) {
  (void)state;
  char command[128];
  snprintf(command, sizeof command, "rm -rf %s", root);
  return system(command);
}

static np_status add(np_graph *graph, uint32_t kind, double a, double b,
                     double c) {
  const double numbers[3] = {a, b, c};
  return np_graph_add(graph, kind, 0, numbers);
}

/* files -> lines -> fan_out 2 -> words -> count_by -> top 2 */
static np_status build_words(np_graph *graph) {
  np_status status = add(graph, NP_NODE_FILES, 0, 0, 0);
  if (status == NP_OK) status = np_graph_text(graph, root, strlen(root));
  if (status == NP_OK) status = add(graph, NP_NODE_LINES, 0, 0, 0);
  if (status == NP_OK) status = add(graph, NP_NODE_FAN_OUT, 2, 0, 0);
  if (status == NP_OK) status = add(graph, NP_NODE_WORDS, 0, 0, 0);
  if (status == NP_OK) status = np_graph_class(graph, "%S+", 3);
  if (status == NP_OK) status = add(graph, NP_NODE_COUNT_BY, 0, 0, 0);
  if (status == NP_OK) status = add(graph, NP_NODE_TOP, 2, 0, 0);
  return status;
}

/* range 1..1000 -> fan_out 3 -> sum */
static np_status build_sum(np_graph *graph) {
  np_status status = add(graph, NP_NODE_RANGE, 1, 1, 1000);
  if (status == NP_OK) status = add(graph, NP_NODE_FAN_OUT, 3, 0, 0);
  if (status == NP_OK) status = add(graph, NP_NODE_SUM, 0, 0, 0);
  return status;
}

/* range without end -> take 5000 -> count */
static np_status build_take(np_graph *graph) {
  np_status status = add(graph, NP_NODE_RANGE, 1, 1, 0x1p53);
  if (status == NP_OK) status = add(graph, NP_NODE_TAKE, 5000, 0, 0);
  if (status == NP_OK) status = add(graph, NP_NODE_COUNT, 0, 0, 0);
  return status;
}

/* range without end -> fan_out 2 -> count: for cancels */
static np_status build_endless(np_graph *graph) {
  np_status status = add(graph, NP_NODE_RANGE, 1, 1, 0x1p53);
  if (status == NP_OK) status = add(graph, NP_NODE_FAN_OUT, 2, 0, 0);
  if (status == NP_OK) status = add(graph, NP_NODE_COUNT, 0, 0, 0);
  return status;
}

/* Makes all tasks and runs them here until they have ended; cancels the scope
 * after `steps` of them. */
static void run_tasks(np_worker *worker, np_run *run, np_status *status,
                      int steps) {
  np_waker *me = &worker->waker;
  np_context *scope = np_context_open(me, worker->engine->root);
  if (scope == NULL) {
    *status = NP_NOMEM;
    return;
  }
  np_scope_enter(me, scope);
  for (uint32_t s = 0; s < run->plan.segment_count && *status == NP_OK; s++)
    for (uint32_t i = 0; i < run->plan.segments[s].instances; i++)
      if (*status == NP_OK)
        *status = np_run_spawn(worker, run, s, i, run->plan.segments[s].pooled);
  if (*status != NP_OK)
    np_context_end(me, scope, NP_CANCELED, (np_value){.tag = NP_NOTHING});
  for (;;) {
    int32_t waits = np_scope_wait(me, scope);
    if (waits == NP_OK) break;
    np_task *task;
    while ((task = np_worker_next(worker, NP_NEVER)) != &worker->outside) {
      np_worker_step(worker, task);
      if (steps > 0 && --steps == 0)
        np_context_end(me, scope, NP_CANCELED, (np_value){.tag = NP_NOTHING});
    }
  }
  np_scope_leave(me, scope, worker->engine->root);
  np_value_drop(&scope->error);
  np_object_release(&scope->object);
}

typedef np_status (*builder)(np_graph *graph);

static np_status run_graph(np_engine *engine, builder build, uint32_t forced,
                           int steps, void (*check)(const np_run *run)) {
  np_graph *graph;
  np_run *run = NULL;
  np_status status = np_graph_open(&graph);
  if (status != NP_OK) return status;
  status = build(graph);
  if (status == NP_OK) status = np_run_open(&run, graph, 2, forced);
  if (status == NP_OK) run_tasks(engine->workers[0], run, &status, steps);
  if (status == NP_OK && np_run_has_failed(run)) status = NP_NOMEM;
  if (status == NP_OK && check != NULL) check(run);
  np_run_free(run);
  np_graph_free(graph);
  return status;
}

/* The last segment is the newest in the list, or not: look for it. */
static const np_chunk *result_of(const np_run *run) {
  for (const np_segment *s = run->segments; s != NULL; s = s->next)
    if (s->results != NULL) return s->results;
  return NULL;
}

static void check_words(const np_run *run) {
  const np_chunk *chunk = result_of(run);
  assert_non_null(chunk);
  assert_int_equal(chunk->layout, NP_PAIRS);
  assert_true(chunk->count >= 1);
  assert_int_equal(chunk->lengths[0], 3);
  assert_memory_equal(chunk->base + chunk->starts[0], "the", 3);
  assert_true(chunk->numbers[0] == 4);
}

static void check_sum(const np_run *run) {
  assert_non_null(result_of(run));
  assert_true(result_of(run)->numbers[0] == 500500);
}

static void check_take(const np_run *run) {
  assert_non_null(result_of(run));
  assert_true(result_of(run)->numbers[0] == 5000);
}

static void test_native_graphs(void **state) {
  (void)state;
  np_engine *engine = np_engine_open(false, 1);
  static const uint32_t sizes[] = {0, 1, 7};
  for (size_t i = 0; i < 3; i++) {
    assert_int_equal(run_graph(engine, build_words, sizes[i], 0, check_words),
                     NP_OK);
    assert_int_equal(run_graph(engine, build_sum, sizes[i], 0, check_sum),
                     NP_OK);
    assert_int_equal(run_graph(engine, build_take, sizes[i], 0, check_take),
                     NP_OK);
  }
  np_engine_close(engine, 0);
}

static void test_cancel_leaves_nothing(void **state) {
  (void)state;
  int64_t before = np_alloc_live();
  np_engine *engine = np_engine_open(false, 1);
  for (int steps = 1; steps < 6; steps++)
    assert_int_equal(run_graph(engine, build_endless, 0, steps, NULL), NP_OK);
  np_engine_close(engine, 0);
  assert_int_equal(np_alloc_live(), before);
}

/* Every allocation of a run fails once: an error or a result, and no leak. */
static void fail_each(builder build, void (*check)(const np_run *run)) {
  np_engine *engine = np_engine_open(false, 1);
  run_graph(engine, build, 0, 0, check); /* The engine's own tables. */
  int64_t before = np_alloc_live();
  for (int64_t at = 1; at < 2000; at++) {
    np_alloc_fail_at(at);
    np_status status = run_graph(engine, build, 0, 0, NULL);
    int64_t left = np_alloc_fail_at(0);
    assert_true(status == NP_OK || status == NP_NOMEM);
    assert_int_equal(np_alloc_live(), before);
    if (left > 0) break;
  }
  np_engine_close(engine, 0);
}

static void test_failing_allocations(void **state) {
  (void)state;
  fail_each(build_sum, check_sum);
  fail_each(build_take, check_take);
  fail_each(build_words, check_words);
}

static void test_explain(void **state) {
  (void)state;
  np_graph *graph;
  np_plan plan;
  assert_int_equal(np_graph_open(&graph), NP_OK);
  assert_int_equal(build_words(graph), NP_OK);
  assert_int_equal(np_plan_make(&plan, graph, 2), NP_OK);
  char *text = np_plan_explain(&plan, graph);
  assert_non_null(text);
  assert_non_null(strstr(text, "count_by (combine) + top 2"));
  np_free(text);
  np_plan_free(&plan);
  np_graph_free(graph);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_native_graphs),
      cmocka_unit_test(test_cancel_leaves_nothing),
      cmocka_unit_test(test_failing_allocations),
      cmocka_unit_test(test_explain),
  };
  return cmocka_run_group_tests(tests, begin, end);
}

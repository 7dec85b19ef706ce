#include "graph/run.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "graph/segment.h"

static np_status open_edges(np_run *run) {
  uint32_t count = run->plan.segment_count;
  run->edges = np_alloc_zero(count * sizeof *run->edges);
  if (run->edges == NULL) return NP_NOMEM;
  for (uint32_t i = 0; i + 1 < count; i++) {
    const np_plan_segment *from = &run->plan.segments[i];
    uint32_t tasks = from[0].instances > from[1].instances ? from[0].instances
                                                           : from[1].instances;
    np_status status =
        np_edge_open(&run->edges[i], tasks > 2 ? 2 * tasks : 4, from->instances,
                     from->ordered ? from->window : 0);
    if (status != NP_OK) return status;
  }
  return NP_OK;
}

np_status np_run_open(np_run **out, const np_graph *graph, uint32_t workers,
                      uint32_t forced) {
  *out = NULL;
  np_run *run = np_alloc_zero(sizeof *run);
  if (run == NULL) return NP_NOMEM;
  np_lock_init(&run->lock);
  np_chunk_pool_init(&run->pool);
  run->graph = graph;
  run->forced = forced;
  run->problems_end = &run->problems;
  np_status status = np_plan_make(&run->plan, graph, workers);
  if (status != NP_OK) goto fail;
  status = NP_NOMEM;
  run->shared = np_alloc_zero(graph->count * sizeof *run->shared);
  if (run->shared == NULL) goto fail;
  status = open_edges(run);
  if (status != NP_OK) goto fail;
  *out = run;
  return NP_OK;

fail:
  np_run_free(run);
  return status;
}

static void free_shared(np_shared *shared) {
  np_blocks_free(shared->blocks);
  np_walk_free(shared->walk);
  np_counting_free(shared->counting);
  np_counts_free(shared->counts);
}

void np_run_free(np_run *run) {
  if (run == NULL) return;
  while (run->segments != NULL) {
    np_segment *next = run->segments->next;
    np_segment_free(run->segments);
    run->segments = next;
  }
  if (run->edges != NULL)
    for (uint32_t i = 0; i < run->plan.segment_count; i++)
      np_edge_close(&run->edges[i]);
  np_walk_problem problem;
  while (np_run_take_problem(run, &problem)) np_free(problem.path);
  if (run->shared != NULL)
    for (uint32_t i = 0; i < run->graph->count; i++)
      free_shared(&run->shared[i]);
  np_chunk_pool_clear(&run->pool);
  np_free(run->edges);
  np_free(run->shared);
  np_plan_free(&run->plan);
  np_free(run);
}

int32_t np_run_fail(np_run *run, np_fault fault, uint32_t node,
                    uint8_t layout) {
  np_lock_take(&run->lock);
  if (!np_run_has_failed(run)) {
    run->fault_node = node;
    run->fault_layout = layout;
    atomic_store_explicit(&run->fault, (int32_t)fault, memory_order_relaxed);
  }
  np_lock_leave(&run->lock);
  return NP_STATE;
}

void np_run_report(np_run *run, np_walk_problem problem) {
  np_problem *entry = np_alloc_zero(sizeof *entry);
  if (entry == NULL) {
    np_free(problem.path);
    return;
  }
  entry->problem = problem;
  np_lock_take(&run->lock);
  *run->problems_end = entry;
  run->problems_end = &entry->next;
  np_lock_leave(&run->lock);
}

/* Files and walks keep their own reports until somebody asks. */
static bool take_from_shared(np_run *run, np_walk_problem *out) {
  for (uint32_t i = 0; run->shared != NULL && i < run->graph->count; i++) {
    np_shared *shared = &run->shared[i];
    np_lock_take(&shared->lock);
    np_blocks *blocks = shared->blocks;
    np_walk *walk = shared->walk;
    np_lock_leave(&shared->lock);
    if (blocks != NULL && np_blocks_take_problem(blocks, out)) return true;
    if (walk != NULL && np_walk_take_problem(walk, out)) return true;
  }
  return false;
}

bool np_run_take_problem(np_run *run, np_walk_problem *out) {
  np_lock_take(&run->lock);
  np_problem *entry = run->problems;
  if (entry != NULL) {
    run->problems = entry->next;
    if (run->problems == NULL) run->problems_end = &run->problems;
  }
  np_lock_leave(&run->lock);
  if (entry == NULL) return take_from_shared(run, out);
  *out = entry->problem;
  np_free(entry);
  return true;
}

/* --- native tasks --- */

/* What a task is told: which segment of which run. The run outlives the task;
 * the number in the payload is its instance. */
typedef struct np_native {
  np_object object;
  np_run *run;
  uint32_t index, instance;
  np_segment *segment;
} np_native;

static void native_free(np_object *object) {
  np_free(np_container_of(object, np_native, object));
}

static const np_object_kind native_kind = {"segment", 0, native_free, NULL};

static void end_task(np_worker *worker, np_task *task, int32_t status) {
  np_native *native =
      np_container_of(task->payload.as.object, np_native, object);
  task->step = NULL; /* The record's next life is a Lua task, perhaps. */
  if (status == NP_TURN_END) {
    np_task_end(worker, task, NP_TASK_SUCCEEDED, (np_value){.tag = NP_NOTHING});
    return;
  }
  if (status == NP_CANCELED) {
    np_task_end(worker, task, NP_TASK_CANCELED, (np_value){.tag = NP_NOTHING});
    return;
  }
  if (status == NP_NOMEM) np_run_fail(native->run, NP_FAULT_MEMORY, 0, 0);
  np_value error; /* Whoever started the run looks at its fault instead. */
  static const char text[] = "graph";
  np_value_string(&error, text, sizeof text - 1);
  np_scope_fail(&worker->waker, task->scope, error);
  np_task_end(worker, task, NP_TASK_FAILED, (np_value){.tag = NP_NOTHING});
}

static void native_step(np_worker *worker, np_task *task) {
  np_waker *me = &worker->waker;
  np_native *native =
      np_container_of(task->payload.as.object, np_native, object);
  int32_t code = me->front.code, status = NP_OK;
  if (native->segment == NULL)
    status = np_segment_open(&native->segment, native->run, native->index,
                             native->instance);
  if (status == NP_OK) status = np_segment_next(me, native->segment, 0, code);
  if (status == NP_PARKED || status == NP_YIELD) return;
  end_task(worker, task, status);
}

np_status np_run_spawn(np_worker *from, np_run *run, uint32_t segment,
                       uint32_t instance, uint32_t target) {
  np_native *native = np_alloc_zero(sizeof *native);
  if (native == NULL) return NP_NOMEM;
  np_object_init(&native->object, &native_kind);
  native->run = run;
  native->index = segment;
  native->instance = instance;
  np_value payload = {.tag = NP_HANDLE, .as.object = &native->object};
  np_context *scope = from->waker.current->context;
  bool here = target == 0;
  np_task *task =
      here ? np_task_new(from, scope, 0) : np_task_spawn_new(from, scope, 0);
  if (task == NULL) {
    np_value_drop(&payload);
    return NP_NOMEM;
  }
  task->payload = payload;
  task->step = native_step;
  if (here) {
    np_ready_push(&from->waker, &task->waiter);
    return NP_OK;
  }
  np_status status = np_engine_spawn(from, task, target);
  if (status != NP_OK)
    np_task_end(from, task, NP_TASK_CANCELED, (np_value){.tag = NP_NOTHING});
  return status;
}

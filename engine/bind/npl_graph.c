#include "bind/npl_graph.h"

#include "base/alloc.h"

static np_segment *segment_of(np_turn *turn) {
  return (np_segment *)(void *)turn;
}

/* --- declaring --- */

np_graph *npl_graph_open(void) {
  np_graph *graph;
  return np_graph_open(&graph) == NP_OK ? graph : NULL;
}

void npl_graph_free(np_graph *graph) { np_graph_free(graph); }

int32_t npl_graph_add(np_graph *graph, uint32_t kind, uint32_t flags, double a,
                      double b, double c) {
  const double numbers[3] = {a, b, c};
  return np_graph_add(graph, kind, flags, numbers);
}

int32_t npl_graph_text(np_graph *graph, const char *text, size_t length) {
  return np_graph_text(graph, text, length);
}

int32_t npl_graph_class(np_graph *graph, const char *text, size_t length) {
  return np_graph_class(graph, text, length);
}

int32_t npl_graph_name(np_graph *graph, const char *label,
                       const char *declared) {
  return np_graph_name(graph, label, declared);
}

bool npl_class_known(const char *pattern, size_t length) {
  np_class class;
  return np_class_parse(&class, pattern, length) == NP_OK;
}

/* --- a run and its plan --- */

np_run *npl_run_open(np_graph *graph, uint32_t workers, uint32_t forced) {
  np_run *run;
  return np_run_open(&run, graph, workers, forced) == NP_OK ? run : NULL;
}

void npl_run_free(np_run *run) { np_run_free(run); }

uint32_t npl_run_segments(np_run *run) { return run->plan.segment_count; }

bool npl_run_is_pooled(np_run *run, uint32_t segment) {
  return run->plan.segments[segment].pooled;
}

uint32_t npl_run_instances(np_run *run, uint32_t segment) {
  return run->plan.segments[segment].instances;
}

uint32_t npl_run_steps(np_run *run, uint32_t segment) {
  return run->plan.segments[segment].step_count;
}

static const np_plan_step *step_of(np_run *run, uint32_t segment,
                                   uint32_t step) {
  return &run->plan.steps[run->plan.segments[segment].first_step + step];
}

uint32_t npl_run_items(np_run *run, uint32_t segment, uint32_t step) {
  return step_of(run, segment, step)->count;
}

uint32_t npl_run_item(np_run *run, uint32_t segment, uint32_t step,
                      uint32_t item) {
  const np_plan_item *found =
      &run->plan.items[step_of(run, segment, step)->first + item];
  return found->node * 4u + found->mode;
}

bool npl_run_is_source(np_run *run, uint32_t segment) {
  return run->plan.segments[segment].source == NP_SOURCE_LUA;
}

char *npl_run_explain(np_run *run) {
  return np_plan_explain(&run->plan, run->graph);
}

void npl_text_free(char *text) { np_free(text); }

int32_t npl_run_spawn(np_front *w, np_run *run, uint32_t segment,
                      uint32_t instance, uint32_t target) {
  return np_run_spawn(npl_worker(w), run, segment, instance, target);
}

/* --- how it goes --- */

int32_t npl_run_fault(np_run *run) { return atomic_load(&run->fault); }
uint32_t npl_run_fault_node(np_run *run) { return run->fault_node; }
int32_t npl_run_fault_layout(np_run *run) { return run->fault_layout; }

char *npl_run_problem(np_run *run, int32_t *error, double *offset) {
  np_walk_problem problem;
  if (!np_run_take_problem(run, &problem)) return NULL;
  *error = problem.error;
  *offset = (double)problem.offset;
  return problem.path;
}

double npl_run_figure(np_run *run, uint32_t segment, int32_t which) {
  if (which == 3) {
    bool is_last = segment + 1 == run->plan.segment_count;
    return is_last ? 0 : np_channel_len(run->edges[segment].channel);
  }
  uint64_t sum = 0;
  np_lock_take(&run->lock);
  for (np_segment *each = run->segments; each != NULL; each = each->next) {
    if (each->index != segment) continue;
    sum += which == 0   ? atomic_load(&each->items_in)
           : which == 1 ? atomic_load(&each->items_out)
                        : atomic_load(&each->chunks_in);
  }
  np_lock_leave(&run->lock);
  return (double)sum;
}

double npl_run_files(np_run *run, int32_t which) {
  np_shared *shared = &run->shared[0];
  np_lock_take(&shared->lock);
  np_blocks *blocks = shared->blocks;
  np_lock_leave(&shared->lock);
  if (blocks == NULL) return 0;
  np_blocks_progress progress;
  np_blocks_progress_get(blocks, &progress);
  switch (which) {
    case 0:
      return (double)progress.files;
    case 1:
      return (double)progress.bytes_read;
    case 2:
      return (double)progress.bytes_known;
    default:
      return progress.all_known;
  }
}

/* --- a segment --- */

void npl_abandon(np_front *w, uint32_t slot, uint32_t generation) {
  np_task *task = np_task_find(npl_worker(w), slot, generation);
  np_outcome *outcome = task != NULL ? np_task_outcome(task) : NULL;
  if (outcome == NULL) return; /* Its scope's end cancels it, then. */
  np_outcome_cancel(npl_me(w), outcome, (np_value){.tag = NP_NOTHING});
  np_object_release(&outcome->object);
}

np_turn *npl_segment_open(np_run *run, uint32_t segment, uint32_t instance) {
  np_segment *opened;
  np_status status = np_segment_open(&opened, run, segment, instance);
  return status == NP_OK ? &opened->turn : NULL;
}

int32_t npl_segment_next(np_front *w, np_turn *turn, uint32_t base,
                         int32_t code) {
  return np_segment_next(npl_me(w), segment_of(turn), base, code);
}

void npl_segment_consumed(np_turn *turn, uint32_t step) {
  np_segment_consumed(segment_of(turn), step);
}

void npl_segment_give(np_turn *turn, uint32_t step, np_chunk *chunk) {
  np_segment_give(segment_of(turn), step, chunk);
}

void npl_segment_flushed(np_turn *turn) {
  np_segment_flushed(segment_of(turn));
}

void npl_segment_exhausted(np_turn *turn) {
  np_segment_exhausted(segment_of(turn));
}

void npl_segment_stop(np_front *w, np_turn *turn, uint32_t step) {
  np_segment_stop(npl_me(w), segment_of(turn), step);
}

uint32_t npl_segment_room(np_turn *turn, uint32_t most) {
  return np_segment_items(segment_of(turn), most);
}

int32_t npl_segment_codes(np_turn *turn, uint32_t step, np_codes *out) {
  np_step *at = &segment_of(turn)->steps[step];
  if (at->dictionary == NULL) {
    np_status status =
        np_dictionary_open(&at->dictionary, (uint64_t)(uintptr_t)at);
    if (status != NP_OK) return status;
  }
  return np_dictionary_look_up(at->dictionary, at->input, out);
}

/* The items of the step's chunk that are named, as a chunk of their own. */
int32_t npl_segment_select(np_turn *turn, uint32_t step, const uint32_t *keep,
                           uint32_t count) {
  np_segment *segment = segment_of(turn);
  const np_chunk *input = segment->steps[step].input;
  np_chunk *chunk =
      np_step_chunk(&segment->steps[step], NP_BYTES, input->count);
  if (chunk == NULL) return NP_NOMEM;
  for (uint32_t i = 0; i < count; i++) {
    chunk->starts[i] = input->starts[keep[i]];
    chunk->lengths[i] = input->lengths[keep[i]];
  }
  chunk->count = count;
  chunk->base = input->base;
  np_status status = NP_OK;
  if (input->base == input->bytes) /* It goes with the input. */
    status = np_chunk_settle(chunk);
  if (status != NP_OK) {
    np_chunk_release(chunk);
    return status;
  }
  np_segment_give(segment, step, chunk);
  return NP_OK;
}

/* To front.received, for the codec. */
void npl_segment_any(np_front *w, np_turn *turn, uint32_t step) {
  w->received = np_value_copy(&segment_of(turn)->steps[step].input->any);
}

/* --- chunks that Lua makes --- */

np_chunk *npl_chunk_new(np_turn *turn, int32_t layout, uint32_t room) {
  np_chunk_pool *pool = &segment_of(turn)->run->pool;
  return np_chunk_new(pool, (np_layout)layout, room);
}

void npl_chunk_free(np_chunk *chunk) { np_chunk_release(chunk); }

double *npl_chunk_numbers(np_chunk *chunk) { return chunk->numbers; }

void npl_chunk_set_count(np_chunk *chunk, uint32_t count) {
  chunk->count = count;
}

int32_t npl_chunk_append(np_chunk *chunk, const char *bytes, size_t length) {
  return np_chunk_append(chunk, bytes, length);
}

void npl_chunk_set_any(np_front *w, np_chunk *chunk, uint32_t count) {
  np_value_drop(&chunk->any);
  chunk->any = npl_take_staged(w);
  chunk->count = count;
}

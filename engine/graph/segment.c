#include "graph/segment.h"

#include "base/alloc.h"
#include "base/assert.h"

#define FIRST_SLICE 64u
#define NATIVE_SLICE 4096u

#define CHUNK_BUDGET                                       \
  50 /* of NP_BUDGET: a native task gives way now and then \
      */

static const np_operator *operator_of(const np_plan_step *plan) {
  if (plan->is_lua) return NULL;
  switch (plan->kind) {
    case NP_NODE_LINES:
      return &np_op_lines;
    case NP_NODE_WORDS:
      return &np_op_words;
    case NP_NODE_TAKE:
      return &np_op_take;
    case NP_NODE_COUNT:
      return &np_op_count;
    case NP_NODE_SUM:
      return &np_op_sum;
    default:
      np_assert(plan->kind == NP_NODE_COUNT_BY);
      return &np_op_count_by;
  }
}

static np_status open_steps(np_segment *segment) {
  const np_plan_segment *plan = segment->plan;
  segment->steps = np_alloc_zero((plan->step_count + 1) * sizeof(np_step));
  if (segment->steps == NULL) return NP_NOMEM;
  segment->step_count = plan->step_count;
  for (uint32_t i = 0; i < plan->step_count; i++) {
    np_step *step = &segment->steps[i];
    step->plan = &segment->run->plan.steps[plan->first_step + i];
    step->ops = operator_of(step->plan);
    step->pool = &segment->run->pool;
    if (step->ops == NULL || step->ops->open == NULL) continue;
    np_status status = step->ops->open(segment, step);
    if (status != NP_OK) return status;
  }
  return NP_OK;
}

/* Whether it ends with a partial, and whether Lua will tell how fast it is. */
static void look_at_steps(np_segment *segment) {
  const np_plan *plan = &segment->run->plan;
  bool has_lua = false;
  for (uint32_t i = 0; i < segment->step_count; i++) {
    const np_plan_step *step = segment->steps[i].plan;
    has_lua = has_lua || step->is_lua;
    uint8_t mode = step->is_lua
                       ? plan->items[step->first + step->count - 1].mode
                       : step->mode;
    segment->sinks = mode == NP_PARTIAL;
  }
  if (segment->run->forced != 0)
    segment->turn.slice = segment->run->forced;
  else
    segment->turn.slice = has_lua ? FIRST_SLICE : NATIVE_SLICE;
}

np_status np_segment_open(np_segment **out, np_run *run, uint32_t index,
                          uint32_t instance) {
  *out = NULL;
  np_segment *segment = np_alloc_zero(sizeof *segment);
  if (segment == NULL) return NP_NOMEM;
  segment->run = run;
  segment->plan = &run->plan.segments[index];
  segment->index = index;
  segment->instance = instance;
  segment->flushing = UINT32_MAX;
  if (segment->plan->source == NP_SOURCE_EDGE)
    segment->input = &run->edges[index - 1];
  if (index + 1 < run->plan.segment_count) segment->output = &run->edges[index];
  np_status status = open_steps(segment);
  if (status == NP_OK) look_at_steps(segment);
  if (status == NP_OK && segment->plan->reorders)
    status = np_reorder_open(&segment->reorder, segment->input->window);
  if (status == NP_OK && !segment->plan->skipped)
    status = np_source_open(segment);
  if (status != NP_OK) {
    np_segment_free(segment);
    return status;
  }
  if (segment->plan->skipped) segment->input_ended = true;
  np_lock_take(&run->lock);
  segment->next = run->segments;
  run->segments = segment;
  np_lock_leave(&run->lock);
  *out = segment;
  return NP_OK;
}

static void free_list(np_chunk *chunk) {
  while (chunk != NULL) {
    np_chunk *next = chunk->next;
    np_chunk_release(chunk);
    chunk = next;
  }
}

/* What the segment holds of the flow and of the system; its figures stay. */
void np_segment_close(np_segment *segment) {
  np_source_close(segment);
  for (uint32_t i = 0; i < segment->step_count; i++) {
    np_step *step = &segment->steps[i];
    np_chunk_release(step->input);
    np_chunk_release(step->spare);
    np_dictionary_free(step->dictionary);
    step->input = step->spare = NULL;
    step->dictionary = NULL;
    if (step->ops != NULL && step->ops->close != NULL) step->ops->close(step);
  }
  if (segment->reorder.first != NULL)
    for (uint32_t i = 0; i < segment->input->window; i++)
      free_list(segment->reorder.first[i]);
  np_reorder_close(&segment->reorder);
  np_chunk_release(segment->pending);
  np_chunk_release(segment->held);
  segment->pending = segment->held = NULL;
}

void np_segment_free(np_segment *segment) {
  np_segment_close(segment);
  free_list(segment->results);
  np_free(segment->steps);
  np_free(segment);
}

/* --- what operators and Lua ask for --- */

void np_step_consumed(np_step *step) {
  np_chunk_release(step->input);
  step->input = NULL;
  step->position = 0;
  step->begun = false;
}

np_chunk *np_step_chunk(np_step *step, np_layout layout, uint32_t room) {
  np_chunk *spare = step->spare;
  if (spare != NULL && spare->layout == layout && spare->room >= room &&
      np_chunk_is_mine(spare)) {
    np_chunk_reset(spare);
    np_object_retain(&spare->object);
    return spare;
  }
  np_chunk *chunk = np_chunk_new(step->pool, layout, room);
  if (chunk == NULL) return NULL;
  np_chunk_release(spare);
  step->spare = chunk;
  np_object_retain(&chunk->object);
  return chunk;
}

/* What we do in a millisecond, and what the consumer does. */
uint32_t np_segment_items(const np_segment *segment, uint32_t most) {
  if (segment->run->forced != 0) return segment->run->forced;
  uint32_t items = segment->turn.slice;
  if (segment->output != NULL && !segment->sinks) {
    uint32_t slice =
        atomic_load_explicit(&segment->output->slice, memory_order_relaxed);
    if (slice < items) items = slice;
  }
  return items < most ? items : most;
}

void np_segment_consumed(np_segment *segment, uint32_t step) {
  np_step_consumed(&segment->steps[step]);
}

void np_segment_give(np_segment *segment, uint32_t step, np_chunk *chunk) {
  if (chunk->count == 0 || step < segment->stopped) {
    np_chunk_release(chunk);
    return;
  }
  int32_t status = np_segment_deliver(segment, step + 1, chunk);
  if (status != NP_OK) np_run_fail(segment->run, NP_FAULT_MEMORY, 0, 0);
}

void np_segment_flushed(np_segment *segment) { segment->flushing++; }

void np_segment_exhausted(np_segment *segment) { segment->input_ended = true; }

void np_segment_stop(np_waker *me, np_segment *segment, uint32_t step) {
  for (uint32_t i = 0; i <= step && i < segment->step_count; i++)
    np_step_consumed(&segment->steps[i]);
  segment->input_ended = true;
  if (segment->stopped < step) segment->stopped = step;
  if (segment->flushing == UINT32_MAX || segment->flushing < step)
    segment->flushing = step;
  if (segment->input != NULL) np_edge_done(me, segment->input);
  np_source_close(segment);
}

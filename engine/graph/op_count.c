/* op_count.c - the small native operators: take, count, sum, count_by. */
#include <math.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "graph/segment.h"

#define MOST_PAIRS 1024u

static const np_node *node_of(np_segment *segment, const np_step *step) {
  return &segment->run->graph->nodes[step->plan->node];
}

static int32_t give_number(np_step *step, double number, np_chunk **out) {
  np_chunk *chunk = np_step_chunk(step, NP_NUMBERS, 1);
  if (chunk == NULL) return NP_NOMEM;
  chunk->numbers[0] = number;
  chunk->count = 1;
  step->begun = true; /* Given: the next flush has no more. */
  *out = chunk;
  return NP_OK;
}

/* --- take --- */

static int32_t run_take(np_segment *segment, np_step *step, np_chunk **out) {
  np_shared *shared = np_segment_shared(segment, step);
  uint64_t limit = (uint64_t)node_of(segment, step)->numbers[0];
  np_chunk *chunk = step->input;
  step->input = NULL;
  uint64_t left = limit - shared->position;
  if (chunk->count > left) {
    np_chunk *numbers = np_chunk_numbers(chunk);
    np_chunk_release(chunk);
    if (numbers == NULL) return NP_NOMEM;
    chunk = numbers;
    np_chunk_cut(chunk, (uint32_t)left);
  }
  shared->position += chunk->count;
  *out = chunk;
  return shared->position == limit ? NP_DONE : NP_OK;
}

/* --- count --- */

static int32_t run_count(np_segment *segment, np_step *step, np_chunk **out) {
  (void)out;
  if (step->plan->mode != NP_COMBINE)
    atomic_fetch_add_explicit(&np_segment_shared(segment, step)->count,
                              step->input->count, memory_order_relaxed);
  np_step_consumed(step);
  return NP_OK;
}

static int32_t flush_count(np_segment *segment, np_step *step, np_chunk **out) {
  if (step->plan->mode == NP_PARTIAL || step->begun) return NP_DONE;
  np_shared *shared = np_segment_shared(segment, step);
  return give_number(step, (double)atomic_load(&shared->count), out);
}

/* --- sum --- */

/* What rounding loses is kept apart (TwoSum): the same sum, however it is
 * split. */
static inline void add(double *sum, double *rest, double x) {
  double total = *sum + x, part = total - *sum;
  *rest += (*sum - (total - part)) + (x - part);
  *sum = total;
}

static int32_t run_sum(np_segment *segment, np_step *step, np_chunk **out) {
  (void)out;
  np_chunk *input = step->input;
  if (input->layout != NP_NUMBERS && input->layout != NP_SPAN)
    return np_run_fail(segment->run, NP_FAULT_TYPE, step->plan->node,
                       input->layout);
  double sum = 0, rest = 0;
  if (input->layout == NP_SPAN)
    for (uint32_t i = 0; i < input->count; i++)
      add(&sum, &rest, input->first + (double)(input->index + i) * input->by);
  else
    for (uint32_t i = 0; i < input->count; i++)
      add(&sum, &rest, input->numbers[i]);
  np_step_consumed(step);
  np_shared *shared = np_segment_shared(segment, step);
  np_lock_take(&shared->lock);
  add(&shared->sum, &shared->rest, sum);
  shared->rest += rest;
  np_lock_leave(&shared->lock);
  return NP_OK;
}

static int32_t flush_sum(np_segment *segment, np_step *step, np_chunk **out) {
  if (step->plan->mode == NP_PARTIAL || step->begun) return NP_DONE;
  const np_shared *shared = np_segment_shared(segment, step);
  /* Infinities have no rest. */
  bool exact = isfinite(shared->sum) && isfinite(shared->rest);
  return give_number(step, exact ? shared->sum + shared->rest : shared->sum,
                     out);
}

/* --- count_by --- */

/* Of the step that gives the counts: where it stands. */
typedef struct np_giver {
  np_counts_cursor cursor;
  np_counts_item *best;
  uint32_t count, given;
  bool ready;
} np_giver;

static np_status open_count_by(np_segment *segment, np_step *step) {
  if (step->plan->mode != NP_PARTIAL) {
    step->state = np_alloc_zero(sizeof(np_giver));
    if (step->state == NULL) return NP_NOMEM;
  }
  if (step->plan->mode == NP_COMBINE) return NP_OK;
  np_shared *shared = np_segment_shared(segment, step);
  np_status status = NP_OK;
  np_lock_take(&shared->lock);
  if (shared->counting == NULL)
    status = np_counting_open(&shared->counting, segment->plan->instances,
                              (uint64_t)(uintptr_t)shared);
  np_lock_leave(&shared->lock);
  return status;
}

static void close_count_by(np_step *step) {
  np_giver *giver = step->state;
  if (giver == NULL) return;
  np_free(giver->best);
  np_free(giver);
  step->state = NULL;
}

static int32_t run_count_by(np_segment *segment, np_step *step,
                            np_chunk **out) {
  (void)out;
  np_chunk *input = step->input;
  if (input->layout != NP_BYTES)
    return np_run_fail(segment->run, NP_FAULT_TYPE, step->plan->node,
                       input->layout);
  np_shared *shared = np_segment_shared(segment, step);
  np_counter *counter =
      np_counting_counter(shared->counting, segment->instance);
  np_status status = np_counter_add_batch(counter, input->base, input->starts,
                                          input->lengths, input->count, 1);
  np_step_consumed(step);
  return status;
}

static np_status combine(np_segment *segment, np_step *step) {
  np_giver *giver = step->state;
  np_shared *shared = np_segment_shared(segment, step);
  /* Nobody counted: the region never began. */
  if (shared->counting == NULL) return NP_DONE;
  np_status status = np_counting_combine(shared->counting, &shared->counts);
  if (status != NP_OK) return status;
  giver->ready = true;
  if (step->plan->top == 0) return NP_OK;
  double most = segment->run->graph->nodes[step->plan->top].numbers[0];
  uint64_t distinct = np_counts_distinct(shared->counts);
  uint32_t k = most < (double)distinct ? (uint32_t)most : (uint32_t)distinct;
  giver->best = np_alloc((k + 1) * sizeof *giver->best);
  if (giver->best == NULL) return NP_NOMEM;
  if (k != 0) np_counts_top(shared->counts, k, giver->best, &giver->count);
  return NP_OK;
}

static bool next_item(const np_shared *shared, np_giver *giver, bool top,
                      np_counts_item *item) {
  if (!top) return np_counts_next(shared->counts, &giver->cursor, item);
  if (giver->given == giver->count) return false;
  *item = giver->best[giver->given++];
  return true;
}

static int32_t flush_count_by(np_segment *segment, np_step *step,
                              np_chunk **out) {
  np_shared *shared = np_segment_shared(segment, step);
  np_giver *giver = step->state;
  if (step->plan->mode != NP_COMBINE && !step->begun) {
    step->begun = true;
    np_status status = np_counter_finish(
        np_counting_counter(shared->counting, segment->instance));
    if (status != NP_OK) return status;
  }
  if (step->plan->mode == NP_PARTIAL) return NP_DONE;
  if (!giver->ready) {
    np_status status = combine(segment, step);
    if (status != NP_OK) return status;
  }
  uint32_t most = np_segment_items(segment, MOST_PAIRS);
  np_chunk *chunk = np_step_chunk(step, NP_PAIRS, most);
  if (chunk == NULL) return NP_NOMEM;
  np_counts_item item;
  while (chunk->count < most &&
         next_item(shared, giver, step->plan->top != 0, &item)) {
    chunk->numbers[chunk->count] = (double)item.count;
    np_status status = np_chunk_append(chunk, item.key, item.length);
    if (status != NP_OK) {
      np_chunk_release(chunk);
      return status;
    }
  }
  if (chunk->count == 0) {
    np_chunk_release(chunk);
    return NP_DONE;
  }
  *out = chunk;
  return NP_OK;
}

const np_operator np_op_take = {NULL, run_take, NULL, NULL};
const np_operator np_op_count = {NULL, run_count, flush_count, NULL};
const np_operator np_op_sum = {NULL, run_sum, flush_sum, NULL};
const np_operator np_op_count_by = {open_count_by, run_count_by, flush_count_by,
                                    close_count_by};

#include "graph/segment.h"

#include "base/alloc.h"
#include "base/assert.h"

#define CHUNK_BUDGET 50 /* of NP_BUDGET: a native task gives way now and then \
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
    if (step->ops == NULL || step->ops->open == NULL) continue;
    np_status status = step->ops->open(segment, step);
    if (status != NP_OK) return status;
  }
  return NP_OK;
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
  segment->turn.slice = run->forced != 0 ? run->forced : 64;
  if (segment->plan->source == NP_SOURCE_EDGE)
    segment->input = &run->edges[index - 1];
  if (index + 1 < run->plan.segment_count) segment->output = &run->edges[index];
  np_status status = open_steps(segment);
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
static void close_segment(np_segment *segment) {
  np_source_close(segment);
  for (uint32_t i = 0; i < segment->step_count; i++) {
    np_step *step = &segment->steps[i];
    np_chunk_release(step->input);
    np_chunk_release(step->spare);
    step->input = step->spare = NULL;
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
  close_segment(segment);
  free_list(segment->results);
  np_dictionary_free(segment->dictionary);
  np_free(segment->steps);
  np_free(segment);
}

/* --- what operators and Lua ask for --------------------------------------- */

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
  np_chunk *chunk = np_chunk_new(layout, room);
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
  if (segment->output != NULL) {
    uint32_t slice =
        atomic_load_explicit(&segment->output->slice, memory_order_relaxed);
    if (slice < items) items = slice;
  }
  return items < most ? items : most;
}

void np_segment_consumed(np_segment *segment, uint32_t step) {
  np_step_consumed(&segment->steps[step]);
}

static void count_out(np_segment *segment, const np_chunk *chunk) {
  uint64_t items =
      atomic_load_explicit(&segment->items_out, memory_order_relaxed);
  atomic_store_explicit(&segment->items_out, items + chunk->count,
                        memory_order_relaxed);
}

static void keep_result(np_segment *segment, np_chunk *chunk) {
  chunk->next = NULL;
  if (segment->results == NULL)
    segment->results = chunk;
  else
    segment->results_last->next = chunk;
  segment->results_last = chunk;
}

/* Ordered: the latest chunk of a number waits until we know whether it is the
 * last one. */
static void put_out(np_segment *segment, np_chunk *chunk) {
  np_assert(segment->pending == NULL);
  if (segment->output_closed) {
    np_chunk_release(chunk);
    return;
  }
  count_out(segment, chunk);
  if (segment->output == NULL) {
    keep_result(segment, chunk);
  } else if (segment->plan->ordered) {
    chunk->sequence = segment->sequence;
    chunk->last = false;
    segment->pending = segment->held;
    segment->held = chunk;
  } else {
    segment->pending = chunk;
  }
}

/* Behind step `at` - 1. A result without Lua and an edge need a text that is
 * their own. */
static int32_t deliver(np_segment *segment, uint32_t at, np_chunk *chunk) {
  if (at < segment->step_count) {
    np_assert(segment->steps[at].input == NULL);
    segment->steps[at].input = chunk;
    return NP_OK;
  }
  if (chunk->count == 0) {
    np_chunk_release(chunk);
    return NP_OK;
  }
  if (chunk->layout == NP_SPAN) {
    np_chunk *numbers = np_chunk_numbers(chunk);
    np_chunk_release(chunk);
    if (numbers == NULL) return NP_NOMEM;
    chunk = numbers;
  }
  np_status status = np_chunk_settle(chunk);
  if (status != NP_OK) {
    np_chunk_release(chunk);
    return status;
  }
  put_out(segment, chunk);
  return NP_OK;
}

void np_segment_give(np_segment *segment, uint32_t step, np_chunk *chunk) {
  if (chunk->count == 0) {
    np_chunk_release(chunk);
    return;
  }
  int32_t status = deliver(segment, step + 1, chunk);
  if (status != NP_OK) np_run_fail(segment->run, NP_FAULT_MEMORY, 0, 0);
}

void np_segment_flushed(np_segment *segment) { segment->flushing++; }

void np_segment_exhausted(np_segment *segment) { segment->input_ended = true; }

void np_segment_stop(np_waker *me, np_segment *segment, uint32_t step) {
  for (uint32_t i = 0; i <= step && i < segment->step_count; i++)
    np_step_consumed(&segment->steps[i]);
  segment->input_ended = true;
  if (segment->flushing == UINT32_MAX || segment->flushing < step)
    segment->flushing = step;
  if (segment->input != NULL) np_edge_done(me, segment->input);
  np_source_close(segment);
}

/* --- input ------------------------------------------------------------------
 */

static void count_in(np_segment *segment, const np_chunk *chunk) {
  uint64_t items =
      atomic_load_explicit(&segment->items_in, memory_order_relaxed);
  uint64_t chunks =
      atomic_load_explicit(&segment->chunks_in, memory_order_relaxed);
  atomic_store_explicit(&segment->items_in, items + chunk->count,
                        memory_order_relaxed);
  atomic_store_explicit(&segment->chunks_in, chunks + 1, memory_order_relaxed);
}

static int32_t begin_chunk(np_segment *segment, np_chunk *chunk) {
  count_in(segment, chunk);
  if (segment->plan->ordered) {
    segment->sequence = chunk->sequence;
    segment->claimed = true;
    segment->has_permit = false;
  }
  return deliver(segment, 0, chunk);
}

static np_chunk *received(np_waker *me) {
  np_assert(me->front.received.tag == NP_CHUNK);
  np_object *object = me->front.received.as.object;
  me->front.received.tag = NP_NOTHING;
  return np_container_of(object, np_chunk, object);
}

/* What a receive on the input answered. */
static int32_t take_received(np_waker *me, np_segment *segment,
                             int32_t status) {
  if (status == NP_CLOSED) {
    segment->input_ended = true;
    return NP_OK;
  }
  if (status != NP_MESSAGE) return status;
  np_chunk *chunk = received(me);
  if (!segment->plan->reorders) return begin_chunk(segment, chunk);
  np_reorder_put(&segment->reorder, segment->input, chunk);
  return NP_OK;
}

static int32_t take_permit(np_waker *me, np_segment *segment, int32_t status) {
  if (status == NP_CLOSED) {
    segment->input_ended = true;
    return NP_OK;
  }
  if (status != NP_MESSAGE) return status;
  np_value_drop(&me->front.received);
  segment->has_permit = true;
  return NP_OK;
}

static int32_t parked(np_segment *segment, np_segment_wait wait,
                      int32_t status) {
  if (status == NP_PARKED || status == NP_PUMP)
    segment->waiting = (uint8_t)wait;
  return status;
}

/* Sleeps are short at first: another reader may open a file to share. */
static int32_t sleep_a_little(np_waker *me, np_segment *segment) {
  int32_t status = np_waker_check(me);
  if (status != NP_OK) return status;
  double seconds = segment->sleeps < 8 ? 0.0002 : 0.005;
  segment->sleeps++;
  status = np_waiter_limit(me, np_wait_bare(me), seconds);
  return status == NP_TIMEOUT ? NP_OK
                              : parked(segment, NP_SEGMENT_SLEEPS, status);
}

static int32_t pull_source(np_waker *me, np_segment *segment) {
  me->front.budget -= CHUNK_BUDGET;
  int32_t status = np_waker_check(me);
  if (status != NP_OK) return status;
  np_chunk *chunk = NULL;
  status = np_source_pull(segment, &chunk);
  if (status == NP_AGAIN) return sleep_a_little(me, segment);
  segment->sleeps = 0;
  if (status == NP_DONE) {
    segment->input_ended = true;
    return NP_OK;
  }
  return status == NP_OK ? begin_chunk(segment, chunk) : status;
}

static int32_t pull_edge(np_waker *me, np_segment *segment) {
  if (segment->plan->reorders) {
    np_chunk *chunk = np_reorder_take(me, &segment->reorder, segment->input);
    if (chunk != NULL) return begin_chunk(segment, chunk);
  }
  atomic_store_explicit(&segment->input->slice, segment->turn.slice,
                        memory_order_relaxed);
  int32_t status = np_channel_recv(me, segment->input->channel, true);
  if (status == NP_PARKED || status == NP_PUMP)
    return parked(segment, NP_SEGMENT_RECEIVES, status);
  return take_received(me, segment, status);
}

static int32_t pull(np_waker *me, np_segment *segment) {
  if (segment->plan->ordered && !segment->has_permit) {
    int32_t status = np_channel_recv(me, segment->output->permits, true);
    if (status == NP_PARKED || status == NP_PUMP)
      return parked(segment, NP_SEGMENT_CLAIMS, status);
    return take_permit(me, segment, status);
  }
  return segment->input != NULL ? pull_edge(me, segment)
                                : pull_source(me, segment);
}

/* --- output -----------------------------------------------------------------
 */

/* Nobody wants more: what was asked of us is done, without a flush. */
static void close_output(np_segment *segment) {
  segment->output_closed = true;
  np_chunk_release(segment->pending);
  segment->pending = NULL;
}

static int32_t after_send(np_segment *segment, int32_t status) {
  if (status != NP_CLOSED) return status;
  close_output(segment);
  return NP_OK;
}

static int32_t send_pending(np_waker *me, np_segment *segment) {
  np_chunk *chunk = segment->pending;
  if (segment->run->plan.segments[segment->index + 1].ordered) {
    chunk->sequence = segment->sent;
    chunk->last = true;
  }
  int32_t status = np_edge_send(me, segment->output, chunk);
  if (status == NP_OK || status == NP_PARKED || status == NP_PUMP) {
    segment->pending = NULL; /* The edge has it, or the wait. */
    segment->sent++;
    return parked(segment, NP_SEGMENT_SENDS, status);
  }
  if (status == NP_CANCELED) segment->pending = NULL;
  return after_send(segment, status);
}

/* Ordered: each number is completed, by an empty chunk if nothing came. */
static int32_t complete_number(np_segment *segment) {
  segment->claimed = false;
  np_chunk *chunk = segment->held;
  segment->held = NULL;
  if (chunk == NULL) chunk = np_chunk_new(NP_NUMBERS, 0);
  if (chunk == NULL) return NP_NOMEM;
  chunk->sequence = segment->sequence;
  chunk->last = true;
  segment->pending = chunk;
  return NP_OK;
}

static void end(np_waker *me, np_segment *segment) {
  if (segment->ended) return;
  segment->ended = true;
  if (segment->input != NULL &&
      (segment->output_closed || segment->plan->skipped))
    np_edge_done(me, segment->input);
  if (segment->output != NULL) np_edge_end(me, segment->output);
  close_segment(segment);
}

/* --- the machine
 * -------------------------------------------------------------- */

static int32_t woken(np_waker *me, np_segment *segment, int32_t code) {
  np_segment_wait wait = (np_segment_wait)segment->waiting;
  segment->waiting = NP_SEGMENT_RUNS;
  switch (wait) {
    case NP_SEGMENT_SENDS:
      return after_send(segment, code);
    case NP_SEGMENT_RECEIVES:
      return take_received(me, segment, code);
    case NP_SEGMENT_CLAIMS:
      return take_permit(me, segment, code);
    case NP_SEGMENT_SLEEPS:
      return code == NP_TIMEOUT ? NP_OK : code;
    default:
      return NP_OK;
  }
}

static void describe(np_segment *segment, uint32_t at, const np_chunk *chunk) {
  np_turn *turn = &segment->turn;
  turn->step = (int32_t)at;
  turn->layout = chunk->layout;
  turn->count = chunk->count;
  turn->first = chunk->first;
  turn->by = chunk->by;
  turn->index = (double)chunk->index;
  turn->numbers = chunk->numbers;
  turn->base = chunk->base;
  turn->starts = chunk->starts;
  turn->lengths = chunk->lengths;
  if (chunk->layout == NP_ANY) {
    turn->bytes = np_blob_bytes(chunk->any.as.blob);
    turn->length = (double)chunk->any.as.blob->length;
  }
}

static int32_t run_step(np_waker *me, np_segment *segment, uint32_t at) {
  np_step *step = &segment->steps[at];
  if (step->ops == NULL) {
    describe(segment, at, step->input);
    return NP_TURN_RUN;
  }
  me->front.budget -= CHUNK_BUDGET;
  int32_t status = np_waker_check(me);
  if (status != NP_OK) return status;
  np_chunk *out = NULL;
  status = step->ops->run(segment, step, &out);
  if (out != NULL) {
    int32_t delivered = deliver(segment, at + 1, out);
    if (delivered != NP_OK) return delivered;
  }
  if (status == NP_DONE) {
    np_segment_stop(me, segment, at);
    segment->flushing = at + 1;
    return NP_OK;
  }
  return status == NP_AGAIN ? sleep_a_little(me, segment) : status;
}

static int32_t flush_step(np_segment *segment) {
  uint32_t at = segment->flushing;
  np_step *step = &segment->steps[at];
  if (step->ops == NULL) {
    segment->turn.step = (int32_t)at;
    return NP_TURN_FLUSH;
  }
  np_chunk *out = NULL;
  int32_t status = step->ops->flush != NULL
                       ? step->ops->flush(segment, step, &out)
                       : NP_DONE;
  if (status == NP_DONE) segment->flushing++;
  if (status < 0 && status != NP_DONE) return status;
  return out != NULL ? deliver(segment, at + 1, out) : NP_OK;
}

/* Nothing is at work in the steps: more input, or the end of it. */
static int32_t feed(np_waker *me, np_segment *segment) {
  if (segment->claimed) return complete_number(segment);
  if (!segment->input_ended) {
    if (segment->plan->source == NP_SOURCE_LUA) {
      segment->turn.step = 0;
      int32_t status = np_waker_check(me);
      return status != NP_OK ? status : NP_TURN_PULL;
    }
    return pull(me, segment);
  }
  if (segment->flushing == UINT32_MAX) segment->flushing = 0;
  if (segment->flushing < segment->step_count) return flush_step(segment);
  end(me, segment);
  return NP_TURN_END;
}

static int32_t advance(np_waker *me, np_segment *segment, uint32_t base) {
  if (segment->pending != NULL) return send_pending(me, segment);
  if (segment->output_closed) {
    if (base == 0) end(me, segment);
    return NP_TURN_END;
  }
  for (uint32_t at = segment->step_count; at-- > base;)
    if (segment->steps[at].input != NULL) return run_step(me, segment, at);
  return base == 0 ? feed(me, segment) : NP_TURN_NEED;
}

int32_t np_segment_next(np_waker *me, np_segment *segment, uint32_t base,
                        int32_t code) {
  int32_t status = NP_OK;
  if (segment->waiting != NP_SEGMENT_RUNS) status = woken(me, segment, code);
  while (status == NP_OK) {
    if (np_run_has_failed(segment->run)) return NP_STATE;
    status = segment->ended ? NP_TURN_END : advance(me, segment, base);
  }
  return status;
}

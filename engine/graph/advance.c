/* advance.c - the machine of a segment: input, steps, output. */
#include "base/assert.h"
#include "graph/segment.h"

/* Of NP_BUDGET: a native task gives way now and then. */
#define CHUNK_BUDGET 50

/* A chunk is worth many operations; but who has just given way goes on, or
 * a small budget would never let it. */
static int32_t give_way(np_waker *me, np_segment *segment) {
  if (!segment->yielded) me->front.budget -= CHUNK_BUDGET;
  int32_t status = np_waker_check(me);
  segment->yielded = status == NP_YIELD;
  return status;
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
int32_t np_segment_deliver(np_segment *segment, uint32_t at, np_chunk *chunk) {
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

/* --- input --- */

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
  return np_segment_deliver(segment, 0, chunk);
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

/* Nobody wants more: what was asked of us is done, without a flush. */
static void close_output(np_segment *segment) {
  segment->output_closed = true;
  np_chunk_release(segment->pending);
  segment->pending = NULL;
}

static int32_t take_permit(np_waker *me, np_segment *segment, int32_t status) {
  if (status == NP_CLOSED) {
    close_output(segment); /* The consumer wants no more. */
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
  int32_t status = give_way(me, segment);
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

/* --- output --- */

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
  if (chunk == NULL) chunk = np_chunk_new(NULL, NP_NUMBERS, 0);
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
  np_segment_close(segment);
}

/* --- the machine --- */

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
    me->front.budget -= CHUNK_BUDGET;
    return NP_TURN_RUN;
  }
  int32_t status = give_way(me, segment);
  if (status != NP_OK) return status;
  np_chunk *out = NULL;
  status = step->ops->run(segment, step, &out);
  if (out != NULL) {
    int32_t delivered = np_segment_deliver(segment, at + 1, out);
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
  return out != NULL ? np_segment_deliver(segment, at + 1, out) : NP_OK;
}

/* Nothing is at work in the steps: more input, or the end of it. */
static int32_t feed(np_waker *me, np_segment *segment) {
  if (segment->claimed) return complete_number(segment);
  if (!segment->input_ended) {
    if (segment->plan->source == NP_SOURCE_LUA) {
      segment->turn.step = 0;
      int32_t status = give_way(me, segment);
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
  if (base != 0 && base <= segment->stopped) return NP_TURN_END;
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

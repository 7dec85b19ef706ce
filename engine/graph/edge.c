#include "graph/edge.h"

#include "base/alloc.h"
#include "base/assert.h"

#define FIRST_SLICE 64

static np_status fill_permits(np_edge *edge, uint32_t window) {
  edge->permits = np_channel_open(window, NP_BLOCK, true);
  if (edge->permits == NULL) return NP_NOMEM;
  for (uint32_t i = 0; i < window; i++) {
    np_value permit = np_value_number(1);
    int32_t status = np_channel_send(NULL, edge->permits, &permit, false);
    if (status != NP_OK) return NP_NOMEM;
  }
  return NP_OK;
}

np_status np_edge_open(np_edge *edge, uint32_t capacity, uint32_t producers,
                       uint32_t window) {
  *edge = (np_edge){.window = window};
  atomic_init(&edge->producers, producers);
  atomic_init(&edge->slice, FIRST_SLICE);
  edge->channel = np_channel_open(capacity, NP_BLOCK, true);
  if (edge->channel == NULL) return NP_NOMEM;
  return window != 0 ? fill_permits(edge, window) : NP_OK;
}

void np_edge_close(np_edge *edge) {
  if (edge->channel != NULL) np_object_release(&edge->channel->object);
  if (edge->permits != NULL) np_object_release(&edge->permits->object);
  edge->channel = edge->permits = NULL;
}

int32_t np_edge_send(np_waker *me, np_edge *edge, np_chunk *chunk) {
  uint32_t items = chunk->count; /* It is the consumer's once it is sent. */
  np_value value = {.tag = NP_CHUNK, .as.object = &chunk->object};
  int32_t status = np_channel_send(me, edge->channel, &value, true);
  if (status == NP_OK || status == NP_PARKED || status == NP_PUMP) {
    atomic_fetch_add_explicit(&edge->chunks, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&edge->items, items, memory_order_relaxed);
  } else if (status == NP_CLOSED || value.tag != NP_NOTHING) {
    /* Still the caller's: to be tried again, or dropped. */
  } else {
    np_assert(status == NP_CANCELED);
  }
  return status;
}

void np_edge_end(np_waker *me, np_edge *edge) {
  if (atomic_fetch_sub_explicit(&edge->producers, 1, memory_order_acq_rel) == 1)
    np_channel_close(me, edge->channel);
}

void np_edge_done(np_waker *me, np_edge *edge) {
  np_channel_close(me, edge->channel);
  if (edge->permits != NULL) np_channel_close(me, edge->permits);
}

np_status np_reorder_open(np_reorder *reorder, uint32_t window) {
  reorder->expected = 0;
  reorder->first = np_alloc_zero(2 * (size_t)window * sizeof(np_chunk *));
  if (reorder->first == NULL) return NP_NOMEM;
  reorder->last = reorder->first + window;
  return NP_OK;
}

void np_reorder_close(np_reorder *reorder) {
  np_free(reorder->first);
  reorder->first = reorder->last = NULL;
}

void np_reorder_put(np_reorder *reorder, const np_edge *edge, np_chunk *chunk) {
  uint64_t at = chunk->sequence % edge->window;
  np_assert(chunk->sequence - reorder->expected < edge->window);
  chunk->next = NULL;
  if (reorder->first[at] == NULL)
    reorder->first[at] = chunk;
  else
    reorder->last[at]->next = chunk;
  reorder->last[at] = chunk;
}

np_chunk *np_reorder_take(np_waker *me, np_reorder *reorder, np_edge *edge) {
  for (;;) {
    uint64_t at = reorder->expected % edge->window;
    np_chunk *chunk = reorder->first[at];
    if (chunk == NULL) return NULL;
    reorder->first[at] = chunk->next;
    chunk->next = NULL;
    if (chunk->last) {
      np_assert(reorder->first[at] == NULL);
      reorder->expected++;
      np_value permit = np_value_number(1);
      /* There is room: it was taken out for this very number. */
      np_channel_send(me, edge->permits, &permit, false);
    }
    if (chunk->count != 0) return chunk;
    np_chunk_release(chunk);
  }
}

/* edge.h - a bounded queue of chunks between two segments: a channel, and what
 * an ordered region needs beside it. Any number of producers and consumers.
 * The last producer to end closes it; a consumer that wants no more closes it
 * too, and producers then learn that they are done.
 *
 * Ordered: chunks are numbered when a worker claims them. A claim costs a
 * permit, of which there are `window`; a permit comes back when all of that
 * number has been delivered in order. So at most `window` numbers are ahead,
 * and the one that everybody waits for always has its permit already. */
#ifndef NP_GRAPH_EDGE_H
#define NP_GRAPH_EDGE_H
#include "csp/channel.h"
#include "value/chunk.h"

typedef struct np_edge {
  np_channel *channel;
  np_channel *permits; /* NULL: not ordered */
  uint32_t window;
  _Atomic uint32_t producers; /* that have not ended */
  _Atomic uint32_t slice; /* items that its consumer does in a millisecond */
  _Atomic uint64_t chunks, items; /* sent */
} np_edge;

/* `window` 0: not ordered. */
np_status np_edge_open(np_edge *edge, uint32_t capacity, uint32_t producers,
                       uint32_t window);
void np_edge_close(np_edge *edge); /* Frees; zero-initialised is fine. */

/* As np_channel_send: the chunk's reference is the edge's on NP_OK and once
 * parked. NP_CLOSED: nobody wants more. */
int32_t np_edge_send(np_waker *me, np_edge *edge, np_chunk *chunk);
/* One producer has ended. */
void np_edge_end(np_waker *me, np_edge *edge);
/* The consumer wants no more. */
void np_edge_done(np_waker *me, np_edge *edge);

/* What a consumer holds back until its turn. */
typedef struct np_reorder {
  uint64_t expected;
  np_chunk **first, **last; /* lists by sequence % window */
} np_reorder;

np_status np_reorder_open(np_reorder *reorder, uint32_t window);
void np_reorder_close(np_reorder *reorder);
/* Takes the chunk over. */
void np_reorder_put(np_reorder *reorder, const np_edge *edge, np_chunk *chunk);
/* The next chunk in order, or NULL; gives permits back. */
np_chunk *np_reorder_take(np_waker *me, np_reorder *reorder, np_edge *edge);

#endif

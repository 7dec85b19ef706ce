/* chunk.h - a batch of items on its way through a graph, in columns.
 * One owner fills it; once it is handed on nobody changes it, so that it may be
 * shared by count. What it borrows (a text that a reader holds) must be made
 * its own before it leaves the task: np_chunk_settle.
 * Layouts: numbers (a column of doubles), bytes (offsets into a text), pairs
 * (bytes and a number each), span (first + i * by, nothing stored), text (a
 * block that is still to be cut), any (one encoding of a list). */
#ifndef NP_VALUE_CHUNK_H
#define NP_VALUE_CHUNK_H
#include <stdbool.h>
#include "value/value.h"

/* cdef:begin */
typedef enum np_layout {
  NP_NUMBERS = 1,
  NP_BYTES = 2,
  NP_PAIRS = 3,
  NP_SPAN = 4,
  NP_TEXT = 5,
  NP_ANY = 6
} np_layout;

typedef struct np_chunk np_chunk;
/* cdef:end */

/* Chunks that were let go, to be filled again: their memory would else go back
 * to the system and be faulted in anew for each. Any thread; it must outlive
 * its chunks. */
typedef struct np_chunk_pool {
  np_lock lock;
  np_chunk *free[3]; /* numbers, bytes, pairs */
  uint32_t count;
} np_chunk_pool;

void np_chunk_pool_init(np_chunk_pool *pool);
void np_chunk_pool_clear(np_chunk_pool *pool);

#define NP_CHUNK_PADDING 32 /* readable bytes behind a text: base/scan.h */

struct np_chunk {
  np_object object;
  uint8_t layout;
  bool last;           /* no more comes of its sequence */
  uint32_t count;      /* items; text: 1 */
  uint32_t room;       /* of each column */
  np_chunk_pool *pool; /* where it goes in the end, or NULL */
  np_chunk *next;      /* in a list of whoever holds it */
  uint64_t sequence;   /* where it stood when it was claimed: ordered fan-out */
  double *numbers;
  uint32_t *starts, *lengths; /* from `base`; a text's length is *lengths */
  const char *base;
  char *bytes; /* its own text, or NULL: `base` is borrowed */
  size_t bytes_used, bytes_room;
  double first, by; /* span: item i is first + (index + i) * by */
  uint64_t index;
  np_value any;
};

/* With columns for `room` items (numbers, bytes and pairs; text has one). NULL
 * when there is no memory. The caller owns a reference. `pool` may be NULL. */
np_chunk *np_chunk_new(np_chunk_pool *pool, np_layout layout, uint32_t room);
static inline void np_chunk_release(np_chunk *chunk) { /* NULL is fine. */
  if (chunk != NULL) np_object_release(&chunk->object);
}
/* Sole owner: empty, with the columns it has. */
void np_chunk_reset(np_chunk *chunk);
static inline bool np_chunk_is_mine(const np_chunk *chunk) {
  return atomic_load_explicit(&chunk->object.refs, memory_order_acquire) == 1;
}

/* Bytes and pairs: appends a copy of the text (room for the item must be
 * there). NP_LIMIT: texts of one chunk pass 2 GiB. */
np_status np_chunk_append(np_chunk *chunk, const char *bytes, size_t length);
/* Room for `size` more bytes of text. */
np_status np_chunk_reserve(np_chunk *chunk, size_t size);
/* Makes a borrowed text its own: just the bytes of its items. */
np_status np_chunk_settle(np_chunk *chunk);
/* Keeps the first `count` items. */
void np_chunk_cut(np_chunk *chunk, uint32_t count);
/* A span as a column of numbers; other layouts: another reference. */
np_chunk *np_chunk_numbers(np_chunk *chunk);
size_t np_chunk_size(const np_chunk *chunk); /* Bytes of memory, about. */

#endif

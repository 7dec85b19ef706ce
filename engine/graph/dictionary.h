/* dictionary.h - codes for the texts that one task has seen lately, so that a
 * Lua string is made once a distinct text and not once an item. Bounded: when
 * it is full it starts afresh, between two chunks, with a new epoch. */
#ifndef NP_GRAPH_DICTIONARY_H
#define NP_GRAPH_DICTIONARY_H
#include "value/chunk.h"

/* cdef:begin */
typedef struct np_dictionary np_dictionary;

/* The codes of one chunk's items, 1 and up, and which items have new ones:
 * item fresh[j] has code first + j. */
typedef struct np_codes {
  const uint32_t *codes, *fresh;
  uint32_t fresh_count, first;
  uint32_t epoch; /* codes of another epoch mean nothing any more */
} np_codes;
/* cdef:end */

np_status np_dictionary_open(np_dictionary **out, uint64_t seed);
void np_dictionary_free(np_dictionary *dictionary); /* NULL is fine. */

/* *out is valid until the next call. NP_AGAIN: not worth it (nearly all texts
 * are new, or the chunk is too large): make strings instead. */
np_status np_dictionary_look_up(np_dictionary *dictionary,
                                const np_chunk *chunk, np_codes *out);

#endif

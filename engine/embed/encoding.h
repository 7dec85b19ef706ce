/* encoding.h - the bytes that values travel in (LuaJIT's string.buffer, and
 * our list of values around it: lua/neap/codec.lua), read and written in C for
 * hosts without Lua. Reading trusts nothing: malformed bytes end it. Any
 * thread. */
#ifndef NP_EMBED_ENCODING_H
#define NP_EMBED_ENCODING_H
#include <stdbool.h>

#include "neap.h"
#include "value/value.h"

/* What a message is, by its first byte; everything else is one plain value. */
#define NP_LIST 0x18 /* a count and that many values */
#define NP_RICH 0x19 /* functions, handles, shared tables: Lua only */

typedef struct np_reader {
  const uint8_t *at, *end;
} np_reader;

/* The next value; strings and tables point into the bytes. False when there is
 * none that makes sense. */
bool np_read_value(np_reader *reader, neap_value *out);
/* After NP_LIST's byte and count: how many values follow; -1: no list. */
int32_t np_read_list(np_reader *reader);
/* Inside a table: what stands before its entries. False: no table. */
bool np_read_table(np_reader *reader, uint32_t *first, uint32_t *list,
                   uint32_t *pairs);

typedef struct np_writer {
  uint8_t *bytes;
  size_t size, capacity;
  bool failed; /* no memory; everything later is ignored */
} np_writer;

void np_write_list(np_writer *writer, uint32_t count);
void np_write_string(np_writer *writer, const char *bytes, size_t size);
/* False: C cannot write such a value (NEAP_OTHER, an unknown type). */
bool np_write_value(np_writer *writer, const neap_value *value);
void np_writer_free(np_writer *writer);

/* A message for a channel: NP_OK, NP_NOMEM, or NP_RANGE as above. */
np_status np_value_from_host(np_value *out, const neap_value *value);
/* Points into `value`. */
void np_value_to_host(np_value *value, neap_value *out);

#endif

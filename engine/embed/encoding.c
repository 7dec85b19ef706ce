#include "embed/encoding.h"

#include <string.h>

#include "base/alloc.h"

/* LuaJIT's tags (lj_serialize.c); a string is 0x20 + its length. */
enum {
  TAG_NIL = 0,
  TAG_FALSE = 1,
  TAG_TRUE = 2,
  TAG_NULL = 3,
  TAG_LIGHT32 = 4,
  TAG_LIGHT64 = 5,
  TAG_INT = 6,
  TAG_NUM = 7,
  TAG_TABLE = 8, /* + 1: has pairs; + 2: has a list from 0; + 4: from 1 */
  TAG_TABLE_LAST = 13,
  TAG_INT64 = 0x10,
  TAG_UINT64 = 0x11,
  TAG_COMPLEX = 0x12,
  TAG_STRING = 0x20
};

#define DEPTH_MAX 100

static const char null_bytes[4] = {'P', 'A', 'E', 'N'}; /* neap.null */

/* --- reading ---------------------------------------------------------------
 */

static bool read_bytes(np_reader *reader, void *out, size_t size) {
  if ((size_t)(reader->end - reader->at) < size) return false;
  memcpy(out, reader->at, size);
  reader->at += size;
  return true;
}

/* Lengths and tags: one byte below 0xe0, two, or five. */
static bool read_size(np_reader *reader, uint32_t *out) {
  uint8_t first;
  if (!read_bytes(reader, &first, 1)) return false;
  *out = first;
  if (first < 0xe0) return true;
  if (first == 0xff) return read_bytes(reader, out, 4);
  uint8_t second;
  if (!read_bytes(reader, &second, 1)) return false;
  *out = ((uint32_t)(first & 0x1f) << 8 | second) + 0xe0;
  return true;
}

static bool read_depth(np_reader *reader, neap_value *out, int depth);

bool np_read_table(np_reader *reader, uint32_t *first, uint32_t *list,
                   uint32_t *pairs) {
  uint32_t tag;
  *first = *list = *pairs = 0;
  if (!read_size(reader, &tag) || tag < TAG_TABLE || tag > TAG_TABLE_LAST)
    return false;
  tag -= TAG_TABLE;
  if (tag >= 2) {
    if (!read_size(reader, list)) return false;
    if (tag >= 4) { /* Its count has the place 0 in it. */
      *first = 1;
      if (*list > 0) --*list;
    }
  }
  return (tag & 1) == 0 || read_size(reader, pairs);
}

static bool skip_table(np_reader *reader, int depth) {
  uint32_t first, list, pairs;
  if (depth == 0 || !np_read_table(reader, &first, &list, &pairs)) return false;
  uint64_t count = (uint64_t)list + 2 * (uint64_t)pairs;
  neap_value ignored;
  while (count-- != 0)
    if (!read_depth(reader, &ignored, depth - 1)) return false;
  return true;
}

static bool read_string(np_reader *reader, neap_value *out, uint32_t size) {
  if ((size_t)(reader->end - reader->at) < size) return false;
  out->type = NEAP_STRING;
  out->data = (const char *)reader->at;
  out->size = size;
  reader->at += size;
  return true;
}

static bool read_number(np_reader *reader, neap_value *out, uint32_t tag) {
  out->type = NEAP_NUMBER;
  if (tag == TAG_NUM) return read_bytes(reader, &out->number, 8);
  int32_t integer;
  if (!read_bytes(reader, &integer, 4)) return false;
  out->number = integer;
  return true;
}

static bool read_tagged(np_reader *reader, neap_value *out, uint32_t tag) {
  char light[16];
  switch (tag) {
    case TAG_NIL:
    case TAG_FALSE:
    case TAG_TRUE:
    case TAG_NULL:
      out->type = (int32_t)tag; /* The same numbers as in neap.h. */
      return true;
    case TAG_LIGHT32:
      out->type = NEAP_NULL;
      if (!read_bytes(reader, light, 4)) return false;
      if (memcmp(light, null_bytes, 4) != 0) out->type = NEAP_OTHER;
      return true;
    case TAG_LIGHT64:
      return read_bytes(reader, light, 8);
    case TAG_INT:
    case TAG_NUM:
      return read_number(reader, out, tag);
    case TAG_INT64:
    case TAG_UINT64:
      out->type = tag == TAG_INT64 ? NEAP_INT64 : NEAP_UINT64;
      return read_bytes(reader, &out->integer, 8);
    case TAG_COMPLEX:
      return read_bytes(reader, light, 16);
    default:
      return tag >= TAG_STRING && read_string(reader, out, tag - TAG_STRING);
  }
}

static bool read_depth(np_reader *reader, neap_value *out, int depth) {
  const uint8_t *start = reader->at;
  uint32_t tag;
  *out = (neap_value){.type = NEAP_OTHER};
  if (!read_size(reader, &tag)) return false;
  if (tag < TAG_TABLE || tag > TAG_TABLE_LAST)
    return read_tagged(reader, out, tag);
  reader->at = start;
  if (!skip_table(reader, depth)) return false;
  out->type = NEAP_TABLE;
  out->data = (const char *)start;
  out->size = (size_t)(reader->at - start);
  return true;
}

bool np_read_value(np_reader *reader, neap_value *out) {
  return read_depth(reader, out, DEPTH_MAX);
}

int32_t np_read_list(np_reader *reader) {
  neap_value count;
  if (reader->at == reader->end || *reader->at != NP_LIST) return -1;
  reader->at++;
  if (!np_read_value(reader, &count) || count.type != NEAP_NUMBER ||
      !(count.number >= 0 && count.number <= INT32_MAX))
    return -1;
  return (int32_t)count.number;
}

/* --- writing ----------------------------------------------------------------
 */

static void put(np_writer *writer, const void *bytes, size_t size) {
  if (writer->failed) return;
  if (writer->size + size > writer->capacity) {
    size_t capacity = writer->capacity != 0 ? writer->capacity : 256;
    while (capacity < writer->size + size) capacity *= 2;
    uint8_t *more = np_realloc(writer->bytes, capacity);
    if (more == NULL) {
      writer->failed = true;
      return;
    }
    writer->bytes = more;
    writer->capacity = capacity;
  }
  if (size != 0) memcpy(writer->bytes + writer->size, bytes, size);
  writer->size += size;
}

static void put_byte(np_writer *writer, uint8_t byte) { put(writer, &byte, 1); }

static void put_size(np_writer *writer, uint32_t size) {
  if (size < 0xe0) {
    put_byte(writer, (uint8_t)size);
  } else if (size < 0x1fe0) {
    uint8_t two[2] = {(uint8_t)(0xe0 | (size - 0xe0) >> 8),
                      (uint8_t)(size - 0xe0)};
    put(writer, two, 2);
  } else {
    put_byte(writer, 0xff);
    put(writer, &size, 4);
  }
}

static void put_number(np_writer *writer, double number) {
  put_byte(writer, TAG_NUM);
  put(writer, &number, 8);
}

void np_write_list(np_writer *writer, uint32_t count) {
  put_byte(writer, NP_LIST);
  put_number(writer, count);
}

void np_write_string(np_writer *writer, const char *bytes, size_t size) {
  if (size > UINT32_MAX - TAG_STRING) {
    writer->failed = true;
    return;
  }
  put_size(writer, (uint32_t)size + TAG_STRING);
  put(writer, bytes, size);
}

bool np_write_value(np_writer *writer, const neap_value *value) {
  switch (value->type) {
    case NEAP_NIL:
    case NEAP_FALSE:
    case NEAP_TRUE:
      put_byte(writer, (uint8_t)value->type);
      return true;
    case NEAP_NULL:
      put_byte(writer, TAG_LIGHT32);
      put(writer, null_bytes, sizeof null_bytes);
      return true;
    case NEAP_NUMBER:
      put_number(writer, value->number);
      return true;
    case NEAP_INT64:
    case NEAP_UINT64:
      put_byte(writer, value->type == NEAP_INT64 ? TAG_INT64 : TAG_UINT64);
      put(writer, &value->integer, 8);
      return true;
    case NEAP_STRING:
      if (value->data == NULL && value->size != 0) return false;
      np_write_string(writer, value->data, value->size);
      return true;
    case NEAP_TABLE: {
      /* Only whole tables, as they were read. */
      np_reader reader = {(const uint8_t *)value->data,
                          (const uint8_t *)value->data + value->size};
      neap_value table;
      if (value->data == NULL || !np_read_value(&reader, &table) ||
          table.type != NEAP_TABLE || reader.at != reader.end)
        return false;
      put(writer, value->data, value->size);
      return true;
    }
    default:
      return false;
  }
}

void np_writer_free(np_writer *writer) {
  np_free(writer->bytes);
  *writer = (np_writer){0};
}

/* --- channels' values
 * --------------------------------------------------------- */

np_status np_value_from_host(np_value *out, const neap_value *value) {
  switch (value->type) {
    case NEAP_FALSE:
    case NEAP_TRUE:
      *out = (np_value){.tag = value->type == NEAP_TRUE ? NP_TRUE : NP_FALSE};
      return NP_OK;
    case NEAP_NULL:
      *out = (np_value){.tag = NP_NULL};
      return NP_OK;
    case NEAP_NUMBER:
      *out = np_value_number(value->number);
      return NP_OK;
    case NEAP_STRING:
      if (value->data == NULL && value->size != 0) return NP_RANGE;
      return np_value_string(out, value->data, value->size);
    case NEAP_INT64:
    case NEAP_UINT64:
    case NEAP_TABLE: {
      np_writer writer = {0};
      np_status status = NP_RANGE;
      if (np_write_value(&writer, value))
        status = writer.failed ? NP_NOMEM
                               : np_value_encoded(out, (char *)writer.bytes,
                                                  writer.size, NULL, 0);
      np_writer_free(&writer);
      return status;
    }
    default:
      return NP_RANGE;
  }
}

void np_value_to_host(np_value *value, neap_value *out) {
  *out = (neap_value){.type = NEAP_OTHER};
  switch (value->tag) {
    case NP_FALSE:
    case NP_TRUE:
      out->type = value->tag == NP_TRUE ? NEAP_TRUE : NEAP_FALSE;
      break;
    case NP_NULL:
      out->type = NEAP_NULL;
      break;
    case NP_NUMBER:
      out->type = NEAP_NUMBER;
      out->number = value->as.number;
      break;
    case NP_SHORT:
      out->type = NEAP_STRING;
      out->data = (const char *)value + 2;
      out->size = value->length;
      break;
    case NP_STRING:
      out->type = NEAP_STRING;
      out->data = np_blob_bytes(value->as.blob);
      out->size = (size_t)value->as.blob->length;
      break;
    case NP_ENCODED: {
      const uint8_t *bytes = (const uint8_t *)np_blob_bytes(value->as.blob);
      np_reader reader = {bytes, bytes + value->as.blob->length};
      if (!np_read_value(&reader, out)) *out = (neap_value){.type = NEAP_OTHER};
      break;
    }
    default:
      break;
  }
}

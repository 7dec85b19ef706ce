/* A part is [start, end) of a file. It owns the items whose first byte lies in
 * it: what comes before the first separator at or after start - 1 belongs to
 * the part before, and its last item is read on past its end. */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "base/alloc.h"
#include "io/reader.h"

#define FIRST_STEP ((size_t)4 << 10)
#define LAST_STEP ((size_t)8 << 20)

np_status np_span_publish(np_blocks *blocks, int fd, const char *path,
                          uint64_t base, uint64_t size) {
  size_t path_size = strlen(path) + 1;
  np_span *span = np_alloc(sizeof *span + path_size);
  if (span == NULL) return NP_NOMEM;
  *span = (np_span){
      .holders = 1, .fd = fd, .base = base, .size = size, .claimed = base};
  memcpy(span->path, path, path_size);
  np_lock_take(&blocks->lock);
  span->next = blocks->spans;
  blocks->spans = span;
  np_lock_leave(&blocks->lock);
  return NP_OK;
}

void np_span_release(np_span *span) {
  if (span == NULL || atomic_fetch_sub(&span->holders, 1) != 1) return;
  close(span->fd);
  np_free(span);
}

bool np_span_claim(np_reader *reader) {
  np_blocks *blocks = reader->blocks;
  np_lock_take(&blocks->lock);
  np_span *span = blocks->spans;
  if (span != NULL) {
    reader->span = span;
    reader->span_start = span->claimed;
    reader->span_end = span->size;
    if (span->size - span->claimed > blocks->block_size) {
      reader->span_end = span->claimed + blocks->block_size;
      atomic_fetch_add(&span->holders, 1);
    } else {
      blocks->spans = span->next; /* Its hold is ours now. */
    }
    span->claimed = reader->span_end;
  }
  np_lock_leave(&blocks->lock);
  return span != NULL;
}

/* Appends up to `wanted` bytes from `offset`; less only at the file's end, or
 * where an error (reported) makes one. */
static np_status append(np_reader *reader, uint64_t offset, size_t wanted,
                        size_t *added) {
  const np_span *span = reader->span;
  np_status status = np_reader_reserve(reader, reader->used + wanted + 1);
  *added = 0;
  while (status == NP_OK && *added < wanted) {
    ssize_t got = pread(span->fd, reader->buffer + reader->used,
                        wanted - *added, (off_t)(offset + *added));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0)
      np_walk_report(reader->blocks->walk, span->path, errno, offset);
    if (got <= 0) break;
    reader->used += (size_t)got;
    *added += (size_t)got;
  }
  return status;
}

/* Where the item that the buffer ends in begins. */
static size_t last_item(const np_reader *reader) {
  size_t length = reader->used - reader->begin;
  size_t at = np_class_find_last(&reader->blocks->separators,
                                 reader->buffer + reader->begin, length);
  return at == length ? reader->begin : reader->begin + at + 1;
}

/* Reads on until the last item ends. `offset` is that of buffer[0]. */
static np_status finish_item(np_reader *reader, uint64_t offset, bool *last) {
  const np_class *separators = &reader->blocks->separators;
  size_t item = last_item(reader), step = FIRST_STEP;
  while (item < reader->used) {
    size_t before = reader->used, added;
    if (before - item > reader->blocks->max) {
      np_walk_report(reader->blocks->walk, reader->span->path, EFBIG,
                     offset + item);
      reader->used = item;
      reader->over_limit = true;
      return NP_OK;
    }
    np_status status = append(reader, offset + before, step, &added);
    if (status != NP_OK) return status;
    size_t at = np_class_find(separators, reader->buffer + before, added);
    if (at < added) {
      reader->used = before + at + 1;
      return NP_OK;
    }
    *last = added < step;
    if (*last) return NP_OK;
    if (step < LAST_STEP) step *= 4;
  }
  return NP_OK;
}

static np_status read_part(np_reader *reader, bool *last) {
  size_t lead = reader->span_start > reader->span->base;
  size_t wanted = (size_t)(reader->span_end - reader->span_start) + lead;
  uint64_t offset = reader->span_start - lead;
  size_t added;
  reader->begin = reader->used = 0;
  np_status status = append(reader, offset, wanted, &added);
  if (status != NP_OK) return status;
  if (lead != 0) {
    size_t at =
        np_class_find(&reader->blocks->separators, reader->buffer, added);
    reader->begin = at < added ? at + 1 : added;
  }
  *last = added < wanted; /* It has shrunk. */
  if (reader->begin == reader->used || *last) return NP_OK;
  return finish_item(reader, offset, last);
}

np_status np_span_read(np_reader *reader, bool *last) {
  size_t lead = reader->span_start > reader->span->base;
  np_status status = np_reader_reserve_file(reader, strlen(reader->span->path));
  if (status == NP_OK) status = read_part(reader, last);
  if (status != NP_OK) {
    reader->begin = reader->used = 0;
    return status;
  }
  if (reader->span_end == reader->span->size) *last = true;
  if (reader->begin < reader->used) {
    np_reader_add_file(reader, reader->span->path,
                       reader->span_start - lead + reader->begin);
    np_reader_add_glue(reader);
  }
  np_span_release(reader->span);
  reader->span = NULL;
  return NP_OK;
}

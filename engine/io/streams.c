/* A stream's bytes gather in a buffer of its own until it holds whole items;
 * then the reader takes that buffer and leaves its own, with the rest. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>
#include "base/alloc.h"
#include "io/reader.h"

static np_status reserve(np_stream *stream, size_t size) {
  if (stream->capacity >= size) return NP_OK;
  size_t capacity = stream->capacity + stream->capacity / 2;
  if (capacity < size) capacity = size;
  char *grown = np_realloc(stream->buffer, capacity + NP_SCAN_PADDING);
  if (grown == NULL) return NP_NOMEM;
  stream->buffer = grown;
  stream->capacity = capacity;
  return NP_OK;
}

void np_stream_free(np_stream *stream) {
  if (stream->fd != STDIN_FILENO) close(stream->fd);
  np_free(stream->buffer);
  np_free(stream);
}

np_status np_stream_publish(np_blocks *blocks, int fd, const char *path,
                            const char *bytes, size_t length) {
  size_t path_size = strlen(path) + 1;
  np_stream *stream = np_alloc_zero(sizeof *stream + path_size);
  if (stream == NULL) return NP_NOMEM;
  memcpy(stream->path, path, path_size);
  stream->fd = fd;
  size_t size = blocks->block_size + (size_t)1;
  if (reserve(stream, size > length ? size : length) != NP_OK) {
    np_free(stream);
    return NP_NOMEM;
  }
  if (length > 0) memcpy(stream->buffer, bytes, length);
  stream->used = length;
  np_lock_take(&blocks->lock);
  np_stream **end = &blocks->streams;
  while (*end != NULL) end = &(*end)->next;
  *end = stream;
  np_lock_leave(&blocks->lock);
  return NP_OK;
}

/* The first stream after `after` (NULL: from the start) that is free. *left
 * tells if there is any at all. */
static np_stream *take(np_blocks *blocks, np_stream *after, bool *left) {
  np_lock_take(&blocks->lock);
  np_stream *stream = after != NULL ? after->next : blocks->streams;
  *left = blocks->streams != NULL;
  while (stream != NULL && stream->busy) stream = stream->next;
  if (stream != NULL) stream->busy = true;
  if (after != NULL) after->busy = false;
  np_lock_leave(&blocks->lock);
  return stream;
}

static void leave(np_blocks *blocks, np_stream *stream) {
  np_lock_take(&blocks->lock);
  bool ended = stream->ended && stream->used == 0;
  if (ended) {
    np_stream **at = &blocks->streams;
    while (*at != stream) at = &(*at)->next;
    *at = stream->next;
  }
  stream->busy = false;
  np_lock_leave(&blocks->lock);
  if (ended) np_stream_free(stream);
}

/* One read, if that would not wait. NP_AGAIN: it would. */
static np_status read_some(np_blocks *blocks, np_stream *stream) {
  struct pollfd ready = {.fd = stream->fd, .events = POLLIN};
  int count = poll(&ready, 1, 0);
  if (count == 0 || (count < 0 && errno == EINTR)) return NP_AGAIN;
  ssize_t got = read(stream->fd, stream->buffer + stream->used,
                     stream->capacity - stream->used);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return NP_AGAIN;
  if (got < 0)
    np_walk_report(blocks->walk, stream->path, errno,
                   stream->offset + stream->used);
  if (got <= 0) stream->ended = true;
  if (got > 0) {
    stream->used += (size_t)got;
    atomic_fetch_add(&blocks->bytes_known, (uint64_t)got);
  }
  return NP_OK;
}

/* Drops what belongs to an item over the limit. */
static void skip_item(const np_blocks *blocks, np_stream *stream) {
  size_t at = np_class_find(&blocks->separators, stream->buffer, stream->used);
  if (at < stream->used) {
    at++;
    stream->skipping = false;
  }
  stream->used -= at;
  stream->offset += at;
  memmove(stream->buffer, stream->buffer + at, stream->used);
}

/* Reads until the block is full, nothing is there, or all is read. Answers the
 * length of the whole items in the buffer through *whole. */
static np_status gather(np_blocks *blocks, np_stream *stream, size_t *whole) {
  np_status status = NP_OK;
  *whole = 0;
  while (status == NP_OK) {
    size_t fresh = stream->used - stream->scanned;
    size_t at = np_class_find_last(&blocks->separators,
                                   stream->buffer + stream->scanned, fresh);
    if (at < fresh) *whole = stream->scanned + at + 1;
    stream->scanned = stream->used;
    if (stream->ended) break;
    if (*whole > 0 && stream->used >= blocks->block_size) break;
    if (*whole == 0 && stream->used > blocks->max) return NP_LIMIT;
    status = reserve(stream, stream->used + blocks->block_size / 4 + 1);
    if (status == NP_OK) status = read_some(blocks, stream);
    if (stream->skipping) skip_item(blocks, stream);
  }
  if (stream->ended) *whole = stream->used;
  return *whole > 0 ? NP_OK : status;
}

/* The reader gets buffer[0, whole); the stream keeps the rest. */
static np_status hand_out(np_reader *reader, np_stream *stream, size_t whole) {
  size_t rest = stream->used - whole;
  np_status status = np_reader_reserve_file(reader, strlen(stream->path));
  if (status == NP_OK) status = np_reader_reserve(reader, rest + 1);
  if (status == NP_OK) status = reserve(stream, whole + 1); /* for the glue */
  if (status != NP_OK) return status;
  char *buffer = reader->buffer;
  size_t capacity = reader->capacity;
  memcpy(buffer, stream->buffer + whole, rest);
  reader->buffer = stream->buffer;
  reader->capacity = stream->capacity;
  reader->begin = reader->used = 0;
  np_reader_add_file(reader, stream->path, stream->offset);
  reader->used = whole;
  if (stream->ended) np_reader_add_glue(reader);
  stream->buffer = buffer;
  stream->capacity = capacity;
  stream->used = stream->scanned = rest;
  stream->offset += whole;
  return NP_OK;
}

static np_status try_stream(np_reader *reader, np_stream *stream) {
  np_blocks *blocks = reader->blocks;
  size_t whole;
  np_status status = gather(blocks, stream, &whole);
  if (status == NP_LIMIT) {
    np_walk_report(blocks->walk, stream->path, EFBIG, stream->offset);
    stream->skipping = true;
    stream->offset += stream->used;
    stream->used = stream->scanned = 0;
  }
  atomic_store(&blocks->wait_fd, status == NP_AGAIN ? stream->fd : -1);
  if (status != NP_OK) return status;
  if (whole == 0) return NP_DONE; /* Ended, and nothing was left. */
  return hand_out(reader, stream, whole);
}

np_status np_stream_read(np_reader *reader) {
  np_blocks *blocks = reader->blocks;
  bool left;
  np_stream *stream = take(blocks, NULL, &left);
  while (stream != NULL) {
    np_status status = try_stream(reader, stream);
    if (status == NP_DONE) {
      leave(blocks, stream);
      stream = take(blocks, NULL, &left);
    } else if (status == NP_AGAIN) {
      stream = take(blocks, stream, &left);
    } else {
      leave(blocks, stream);
      return status;
    }
  }
  return left ? NP_AGAIN : NP_DONE;
}

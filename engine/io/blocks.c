/* A reader first helps with large files that are open (spans), then packs
 * files from the walk into its block, then looks at streams. */
#include "io/blocks.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/alloc.h"
#include "io/reader.h"

#define BLOCK_SIZE (UINT32_C(1) << 20)
#define MAX_ITEM (UINT32_C(64) << 20)
#define MAX_ITEM_LIMIT (UINT32_C(1) << 30)

static np_status choose_separators(np_blocks *blocks, const np_class *given) {
  if (given == NULL) {
    np_class_newline(&blocks->separators);
  } else {
    blocks->separators = *given;
  }
  if (np_class_has(&blocks->separators, '\n')) {
    blocks->glue = '\n';
    return NP_OK;
  }
  for (int byte = 0; byte < 256; byte++) {
    blocks->glue = (char)byte;
    if (np_class_has(&blocks->separators, (uint8_t)byte)) return NP_OK;
  }
  return NP_RANGE;
}

np_status np_blocks_open(np_blocks **out, const np_blocks_options *options) {
  *out = NULL;
  if (options->max > MAX_ITEM_LIMIT || options->block_size > MAX_ITEM_LIMIT)
    return NP_RANGE;
  np_blocks *blocks = np_alloc_zero(sizeof *blocks);
  if (blocks == NULL) return NP_NOMEM;
  np_lock_init(&blocks->lock);
  atomic_store(&blocks->wait_fd, -1);
  blocks->block_size =
      options->block_size != 0 ? options->block_size : BLOCK_SIZE;
  blocks->max = options->max != 0 ? options->max : MAX_ITEM;
  np_status status = choose_separators(blocks, options->separators);
  if (status != NP_OK) goto free_blocks;
  status = np_walk_open(&blocks->walk, options->starts, options->start_count);
  if (status != NP_OK) goto free_blocks;
  *out = blocks;
  return NP_OK;

free_blocks:
  np_free(blocks);
  return status;
}

void np_blocks_free(np_blocks *blocks) {
  if (blocks == NULL) return;
  while (blocks->spans != NULL) {
    np_span *span = blocks->spans;
    blocks->spans = span->next;
    np_span_release(span);
  }
  while (blocks->streams != NULL) {
    np_stream *stream = blocks->streams;
    blocks->streams = stream->next;
    np_stream_free(stream);
  }
  np_walk_free(blocks->walk);
  np_free(blocks);
}

np_status np_reader_open(np_reader **out, np_blocks *blocks) {
  *out = NULL;
  np_reader *reader = np_alloc_zero(sizeof *reader);
  if (reader == NULL) return NP_NOMEM;
  reader->blocks = blocks;
  np_status status = np_walk_cursor_open(&reader->cursor, blocks->walk);
  if (status != NP_OK) goto free_reader;
  /* Room for the end of an item that reaches over the block's end. */
  status = np_reader_reserve(reader, blocks->block_size + (size_t)8192);
  if (status != NP_OK) goto close_cursor;
  *out = reader;
  return NP_OK;

close_cursor:
  np_walk_cursor_close(reader->cursor);
free_reader:
  np_free(reader);
  return status;
}

static void set_walking(np_reader *reader, bool walking) {
  if (reader->walking == walking) return;
  reader->walking = walking;
  if (walking)
    atomic_fetch_add(&reader->blocks->walkers, 1);
  else
    atomic_fetch_sub(&reader->blocks->walkers, 1);
}

void np_reader_close(np_reader *reader) {
  if (reader == NULL) return;
  set_walking(reader, false);
  np_span_release(reader->span);
  np_walk_cursor_close(reader->cursor);
  np_free(reader->buffer);
  np_free(reader->files);
  np_free(reader->paths);
  np_free(reader);
}

np_status np_reader_reserve(np_reader *reader, size_t size) {
  if (reader->capacity >= size) return NP_OK;
  size_t capacity = reader->capacity + reader->capacity / 2;
  if (capacity < size) capacity = size;
  char *grown = np_realloc(reader->buffer, capacity + NP_SCAN_PADDING);
  if (grown == NULL) return NP_NOMEM;
  reader->buffer = grown;
  reader->capacity = capacity;
  return NP_OK;
}

np_status np_reader_reserve_file(np_reader *reader, size_t path_length) {
  if (reader->file_count == reader->file_room) {
    uint32_t room = reader->file_room != 0 ? reader->file_room * 2 : 64;
    np_block_file *files =
        np_realloc(reader->files, room * sizeof *reader->files);
    if (files == NULL) return NP_NOMEM;
    reader->files = files;
    reader->file_room = room;
  }
  size_t wanted = reader->paths_used + path_length + 1;
  if (wanted > reader->paths_room) {
    size_t room = wanted * 2 > 4096 ? wanted * 2 : 4096;
    char *paths = np_realloc(reader->paths, room);
    if (paths == NULL) return NP_NOMEM;
    reader->paths = paths;
    reader->paths_room = room;
  }
  return NP_OK;
}

void np_reader_add_file(np_reader *reader, const char *path,
                        uint64_t file_offset) {
  bool first = reader->file_count == 0;
  reader->files[reader->file_count++] =
      (np_block_file){.offset =
                          first ? 0 : (uint32_t)(reader->used - reader->begin),
                      .path = (uint32_t)reader->paths_used,
                      .file_offset = file_offset};
  char *out = reader->paths + reader->paths_used;
  size_t room = reader->paths_room - reader->paths_used;
  size_t length;
  if (path != NULL) {
    length = strlen(path);
    memcpy(out, path, length + 1);
  } else {
    length = np_walk_path(&reader->file, out, room);
  }
  reader->paths_used += length + 1;
}

void np_reader_add_glue(np_reader *reader) {
  const np_blocks *blocks = reader->blocks;
  uint8_t last = (uint8_t)reader->buffer[reader->used - 1];
  if (np_class_has(&blocks->separators, last)) return;
  reader->buffer[reader->used++] = blocks->glue;
  reader->glue_count++;
}

static np_status show_block(np_reader *reader, np_block *out) {
  out->bytes = reader->buffer + reader->begin;
  out->length = (uint32_t)(reader->used - reader->begin);
  out->files = reader->files;
  out->file_count = reader->file_count;
  out->paths = reader->paths;
  atomic_fetch_add(&reader->blocks->bytes_read,
                   out->length - reader->glue_count);
  return NP_OK;
}

static void report_file(np_reader *reader, int error) {
  char path[4096]; /* Longer ones are cut. */
  np_walk_path(&reader->file, path, sizeof path);
  np_walk_report(reader->blocks->walk, path, error, 0);
}

/* Reads until the file ends or `room` is full: -1 and errno when it cannot.
 * A short read is not trusted to be the end (/proc, network file systems). */
static ssize_t read_up_to(int fd, char *out, size_t room) {
  size_t used = 0;
  while (used < room) {
    ssize_t got = read(fd, out + used, room - used);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return -1;
    if (got == 0) break;
    used += (size_t)got;
  }
  return (ssize_t)used;
}

static size_t room_left(const np_reader *reader) {
  size_t used = reader->used - reader->begin;
  uint32_t size = reader->blocks->block_size;
  return used < size ? size - used : 0;
}

/* The file did not fit: its whole items go into this block, the rest becomes a
 * span, or a stream if its size is not known (/proc). `fd` is moved on NP_OK.
 */
static np_status split_file(np_reader *reader, int fd, size_t got,
                            const char *path) {
  np_blocks *blocks = reader->blocks;
  struct stat info;
  const char *bytes = reader->buffer + reader->used;
  size_t at = np_class_find_last(&blocks->separators, bytes, got);
  size_t whole = at < got ? at + 1 : 0;
  if (fstat(fd, &info) != 0) info.st_size = 0;
  uint64_t size = (uint64_t)info.st_size;
  np_status status;
  if (size > whole)
    status = np_span_publish(blocks, fd, path, whole, size);
  else
    status = np_stream_publish(blocks, fd, path, bytes + whole, got - whole);
  if (status != NP_OK) return status;
  reader->published = true;
  atomic_fetch_add(&blocks->bytes_known, size > got ? size : got);
  if (whole > 0) {
    np_reader_add_file(reader, path, 0);
    reader->used += whole;
  }
  return NP_OK;
}

static np_status take_bytes(np_reader *reader, int fd, size_t path_length) {
  np_blocks *blocks = reader->blocks;
  size_t room = room_left(reader);
  np_status status = np_reader_reserve_file(reader, path_length);
  if (status == NP_OK)
    status = np_reader_reserve(reader, reader->used + room + 1);
  if (status != NP_OK) return status;
  ssize_t got = read_up_to(fd, reader->buffer + reader->used, room);
  if (got < 0) report_file(reader, errno);
  if (got == (ssize_t)room) {
    char *path = np_alloc(path_length + 1);
    if (path == NULL) return NP_NOMEM;
    np_walk_path(&reader->file, path, path_length + 1);
    status = split_file(reader, fd, room, path);
    np_free(path);
    return status;
  }
  if (got > 0) {
    np_reader_add_file(reader, NULL, 0);
    reader->used += (size_t)got;
    np_reader_add_glue(reader);
    atomic_fetch_add(&blocks->bytes_known, (uint64_t)got);
  }
  close(fd);
  return NP_OK;
}

/* Standard input, when it is a file, can be shared as any other. */
static np_status open_stdin(np_blocks *blocks) {
  struct stat info;
  off_t at = lseek(STDIN_FILENO, 0, SEEK_CUR);
  if (at >= 0 && fstat(STDIN_FILENO, &info) == 0 && S_ISREG(info.st_mode)) {
    if (info.st_size <= at) return NP_OK;
    int fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
    if (fd >= 0) {
      np_status status = np_span_publish(blocks, fd, "-", (uint64_t)at,
                                         (uint64_t)info.st_size);
      if (status != NP_OK)
        close(fd);
      else
        atomic_fetch_add(&blocks->bytes_known, (uint64_t)(info.st_size - at));
      return status;
    }
  }
  return np_stream_publish(blocks, STDIN_FILENO, "-", NULL, 0);
}

/* Reads reader->file. NP_NOMEM: it can be tried again. */
static np_status read_file(np_reader *reader) {
  np_blocks *blocks = reader->blocks;
  const np_walk_file *file = &reader->file;
  if (file->kind == NP_WALK_STDIN) return open_stdin(blocks);
  int fd = openat(file->directory, file->name, file->flags);
  if (fd < 0) {
    report_file(reader, errno);
    return NP_OK;
  }
  np_status status = file->kind == NP_WALK_STREAM
                         ? np_stream_publish(blocks, fd, file->name, NULL, 0)
                         : take_bytes(reader, fd, np_walk_path(file, NULL, 0));
  if (status != NP_OK) close(fd);
  return status;
}

/* Puts files into the block until it is full enough. NP_OK: it is, or there is
 * a span to read first: no reader opens more than one large file at a time.
 * Else what np_walk_next said, or NP_NOMEM. */
static np_status pack(np_reader *reader) {
  np_blocks *blocks = reader->blocks;
  size_t least = blocks->block_size / 16 + 1;
  reader->published = false;
  while (room_left(reader) >= least && !reader->published) {
    if (!reader->has_file) {
      set_walking(reader, true);
      np_status status = np_walk_next(reader->cursor, &reader->file);
      if (status != NP_OK) {
        set_walking(reader, false);
        return status;
      }
      reader->has_file = true;
    }
    np_status status = read_file(reader);
    if (status != NP_OK) return status;
    reader->has_file = false;
    atomic_fetch_add(&blocks->files, 1);
  }
  return NP_OK;
}

/* After a giant the buffer goes back to its usual size, if that works out. */
static void start_block(np_reader *reader) {
  size_t usual = reader->blocks->block_size + (size_t)8192;
  reader->begin = reader->used = 0;
  reader->file_count = reader->glue_count = 0;
  reader->paths_used = 0;
  if (reader->capacity <= usual * 8) return;
  char *smaller = np_alloc(usual + NP_SCAN_PADDING);
  if (smaller == NULL) return;
  np_free(reader->buffer);
  reader->buffer = smaller;
  reader->capacity = usual;
}

/* NP_DONE: no spans. Otherwise the block is ready, or an error. *last: there
 * may be room for more files behind what was read. */
static np_status read_spans(np_reader *reader, bool *last) {
  *last = true;
  while (reader->span != NULL || np_span_claim(reader)) {
    np_status status = np_span_read(reader, last);
    if (status != NP_OK) return status;
    if (reader->begin < reader->used) return NP_OK;
    if (reader->over_limit) return NP_LIMIT;
  }
  return NP_DONE;
}

static np_status next_block(np_reader *reader) {
  bool last;
  for (;;) {
    np_status status = read_spans(reader, &last);
    if (status != NP_DONE && (status != NP_OK || !last)) return status;
    /* Before the lists are looked at: who walks now may still add to them. */
    status = pack(reader);
    if (reader->begin < reader->used) return NP_OK;
    if (status == NP_OK) continue; /* A span: all of the block or more. */
    if (status == NP_NOMEM) return status;
    bool others = atomic_load(&reader->blocks->walkers) > 0;
    np_status streams = np_stream_read(reader);
    if (streams == NP_OK || streams == NP_LIMIT || streams == NP_NOMEM)
      return streams;
    if (np_span_claim(reader)) continue;
    return status == NP_AGAIN || others ? NP_AGAIN : streams;
  }
}

np_status np_reader_next(np_reader *reader, np_block *out) {
  np_status status = NP_LIMIT;
  start_block(reader);
  if (!reader->over_limit) {
    status = next_block(reader);
    if (status == NP_OK) return show_block(reader, out);
  }
  if (status == NP_LIMIT) reader->over_limit = false;
  return status;
}

int np_blocks_wait_fd(np_blocks *blocks) {
  return atomic_load(&blocks->wait_fd);
}

bool np_blocks_take_problem(np_blocks *blocks, np_walk_problem *out) {
  return np_walk_take_problem(blocks->walk, out);
}

uint64_t np_blocks_problem_count(np_blocks *blocks) {
  return np_walk_problem_count(blocks->walk);
}

void np_blocks_progress_get(np_blocks *blocks, np_blocks_progress *out) {
  out->files = atomic_load(&blocks->files);
  out->bytes_read = atomic_load(&blocks->bytes_read);
  out->bytes_known = atomic_load(&blocks->bytes_known);
  out->all_known =
      np_walk_is_exhausted(blocks->walk) && atomic_load(&blocks->walkers) == 0;
}

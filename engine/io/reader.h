/* reader.h - inside blocks: what blocks.c, spans.c and streams.c share. */
#ifndef NP_IO_READER_H
#define NP_IO_READER_H
#include <stdatomic.h>
#include "base/lock.h"
#include "io/blocks.h"

/* A file too large for what was left of a block; readers claim parts of it.
 * Held by the list until all is claimed, and by each reader in a part. */
typedef struct np_span {
  struct np_span *next;
  _Atomic uint32_t holders;
  int fd;
  uint64_t base; /* an item begins here; before it all has been read */
  uint64_t size; /* when it was opened */
  uint64_t claimed;
  char path[];
} np_span;

/* Something that can only be read in order, by the reader that has `busy`. */
typedef struct np_stream {
  struct np_stream *next;
  int fd;
  bool busy, ended, skipping; /* skipping: an item over the limit */
  char *buffer;               /* bytes read but not handed out */
  size_t used, capacity;
  size_t scanned;  /* no need to look for separators before it */
  uint64_t offset; /* of the buffer's first byte */
  char path[];
} np_stream;

struct np_blocks {
  np_walk *walk;
  np_class separators;
  char glue; /* a separator: '\n' if it is one */
  uint32_t block_size, max;

  np_lock lock; /* guards the next two lists and what they say of `busy` */
  np_span *spans;
  np_stream *streams;

  _Atomic int wait_fd;
  _Atomic uint32_t walkers; /* readers that hold names or look for some */
  _Atomic uint64_t files, bytes_read, bytes_known;
};

struct np_reader {
  np_blocks *blocks;
  np_walk_cursor *cursor;
  char *buffer;
  size_t capacity;    /* usable bytes; NP_SCAN_PADDING more are there */
  size_t begin, used; /* the block so far is buffer[begin, used) */
  np_block_file *files;
  uint32_t file_count, file_room;
  uint32_t glue_count; /* bytes of the block that are in no file */
  char *paths;
  size_t paths_used, paths_room;

  np_walk_file file; /* taken from the walk, */
  bool has_file;     /* but not read yet */
  bool published;    /* pack has opened a large file */
  bool walking;      /* counted in blocks->walkers */
  bool over_limit;   /* tell NP_LIMIT at the next call */
  np_span *span;     /* a claimed part that is not read yet, or NULL */
  uint64_t span_start, span_end;
};

/* Room for `size` bytes in the buffer, what is in it kept. */
np_status np_reader_reserve(np_reader *reader, size_t size);
/* Room for one more file with that path. */
np_status np_reader_reserve_file(np_reader *reader, size_t path_length);
/* Notes, in the room reserved, that bytes of a file begin at `reader->used`
 * (or `begin`, if nothing is there yet). `path` NULL: the one of reader->file.
 */
void np_reader_add_file(np_reader *reader, const char *path,
                        uint64_t file_offset);
/* Ends the bytes of a file: a glue byte unless a separator is there. Room for
 * one byte must be reserved. */
void np_reader_add_glue(np_reader *reader);

/* Lets all readers claim from `fd`, which is moved on NP_OK. */
np_status np_span_publish(np_blocks *blocks, int fd, const char *path,
                          uint64_t base, uint64_t size);
void np_span_release(np_span *span); /* NULL is fine. */
/* Claims a part into reader->span; false if there is none. */
bool np_span_claim(np_reader *reader);
/* Reads the claimed part. NP_OK: buffer[begin, used) holds its whole items,
 * perhaps none; *last tells if the file ends with them. NP_NOMEM: the claim
 * stays. */
np_status np_span_read(np_reader *reader, bool *last);

/* Adds `fd`, which is moved on NP_OK, with `length` bytes read already. */
np_status np_stream_publish(np_blocks *blocks, int fd, const char *path,
                            const char *bytes, size_t length);
void np_stream_free(np_stream *stream);
/* NP_OK: a block from some stream. NP_AGAIN: streams are left, none is ready.
 * NP_DONE: none is left. NP_LIMIT, NP_NOMEM: as np_reader_next. */
np_status np_stream_read(np_reader *reader);

#endif

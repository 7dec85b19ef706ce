/* blocks.h - the text of many files as blocks for many readers.
 * Small files are packed into one block, a glue byte (a newline) between them
 * where the one before does not end in a separator. What does not fit is read
 * in spans that readers claim by offset, cut at separators: no line (or word)
 * is ever in two blocks. There is no reader thread and no queue: a reader
 * opens, reads and closes on its own thread. Streams (pipes, standard input)
 * are read by one reader at a time and never block: see np_blocks_wait_fd.
 * Files that vanish, shrink or grow meanwhile are harmless. */
#ifndef NP_IO_BLOCKS_H
#define NP_IO_BLOCKS_H
#include <stdbool.h>
#include <stdint.h>
#include "base/scan.h"
#include "base/status.h"
#include "io/walk.h"

typedef struct np_blocks np_blocks; /* one for all readers */
typedef struct np_reader np_reader; /* one for each reader */

typedef struct np_blocks_options {
  const char *const *starts; /* as for np_walk_open */
  uint32_t start_count;
  /* Where blocks may be cut; NULL: at newlines, right for lines and for any
   * class of words without '\n'. For words of class c alone: the inverse of
   * c; then lines have no limit. Copied. */
  const np_class *separators;
  uint32_t block_size; /* 0: 1 MiB */
  /* Longest line or word; 0: 64 MiB; at most 1 GiB. Only what exceeds the
   * block is seen here: with a smaller max, whoever cuts lines must check. */
  uint32_t max;
} np_blocks_options;

/* Where in a block the bytes of a file begin. */
typedef struct np_block_file {
  uint32_t offset;      /* in the block */
  uint32_t path;        /* in block->paths, ends with NUL */
  uint64_t file_offset; /* of the block's first byte of this file */
} np_block_file;

/* Lives until the next call on the same reader. */
typedef struct np_block {
  const char *bytes;   /* NP_SCAN_PADDING readable behind it */
  uint32_t length;     /* never 0 */
  uint32_t file_count; /* at least 1; sorted by offset, the first is 0 */
  const np_block_file *files;
  const char *paths;
} np_block;

typedef struct np_blocks_progress {
  uint64_t files;       /* opened so far */
  uint64_t bytes_read;  /* handed out as blocks */
  uint64_t bytes_known; /* of all files opened so far: at least bytes_read */
  bool all_known;       /* no more files will be found */
} np_blocks_progress;

/* NP_RANGE: the class of separators is empty, or max too large. */
np_status np_blocks_open(np_blocks **out, const np_blocks_options *options);
/* All readers must be closed. NULL is fine. */
void np_blocks_free(np_blocks *blocks);

np_status np_reader_open(np_reader **out, np_blocks *blocks);
/* At any time, also half-way (a cancel): what it had claimed is lost. Close a
 * reader that is not called any more, or others get NP_AGAIN for its sake. */
void np_reader_close(np_reader *reader);

/* Any thread, one at a time for each reader. NP_OK: *out is a block. NP_AGAIN:
 * nothing right now (another reader may yet open a large file to share); yield
 * or sleep up to a millisecond, then call again. NP_DONE: no more blocks for
 * this reader. NP_LIMIT: a line or word is longer than `max`; reported as a
 * problem with error EFBIG, path and offset; calling again goes on behind what
 * had to be skipped. NP_NOMEM: call again, or give up. */
np_status np_reader_next(np_reader *reader, np_block *out);

/* Any thread: the descriptor that a reader found empty last, to wait for
 * instead of polling after NP_AGAIN; -1: just yield. */
int np_blocks_wait_fd(np_blocks *blocks);
/* Any thread: unreadable files and the like, as np_walk_take_problem. */
bool np_blocks_take_problem(np_blocks *blocks, np_walk_problem *out);
uint64_t np_blocks_problem_count(np_blocks *blocks);
void np_blocks_progress_get(np_blocks *blocks, np_blocks_progress *out);

#endif

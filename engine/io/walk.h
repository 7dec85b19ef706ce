/* walk.h - finds files for many readers at once.
 * A start is a file, a directory (all regular files below it, hidden ones
 * included, links not followed; the start itself may be one), a pattern with
 * `*`, `?`, `[...]` or `**` (any number of directories; a `*` or `**` does not
 * match a leading dot, as in the shell), or "-" for standard input. A name that
 * exists as it stands is not taken for a pattern. Non-regular starts (pipes,
 * terminals) are streams; below directories they are skipped.
 * Readers claim directories, not paths: each reads some 32 names at a time
 * through a descriptor, so one vast directory is shared too. The order is open.
 * What cannot be opened is reported (np_walk_problem) and skipped. */
#ifndef NP_IO_WALK_H
#define NP_IO_WALK_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/status.h"

typedef struct np_walk np_walk;
typedef struct np_walk_cursor np_walk_cursor; /* one for each reader */

typedef enum np_walk_kind {
  NP_WALK_FILE,   /* regular when it was looked at; open with flags below */
  NP_WALK_STREAM, /* a pipe, a device, a socket: read in order by one reader */
  NP_WALK_STDIN   /* descriptor 0 */
} np_walk_kind;

/* Lives until the next call with the same cursor. */
typedef struct np_walk_file {
  int directory;    /* for openat; AT_FDCWD for a start */
  int flags;        /* for openat: never blocks, never follows a link */
  const char *name; /* relative to `directory` */
  const char *directory_path; /* "" for a start */
  np_walk_kind kind;
} np_walk_file;

/* A file or directory that could not be read, or a line over the limit. */
typedef struct np_walk_problem {
  char *path;      /* owned: np_free */
  int error;       /* errno; EFBIG: a line or word over the limit */
  uint64_t offset; /* in the file, where that makes sense */
} np_walk_problem;

/* `starts` are copied. Nothing is opened yet. A pattern of more than 60
 * components is a problem with error E2BIG. */
np_status np_walk_open(np_walk **out, const char *const *starts,
                       uint32_t count);
/* All cursors must be closed. NULL is fine. Closes all descriptors. */
void np_walk_free(np_walk *walk);

np_status np_walk_cursor_open(np_walk_cursor **out, np_walk *walk);
void np_walk_cursor_close(np_walk_cursor *cursor); /* NULL is fine. */

/* Any thread, one at a time for each cursor. NP_OK: *file is the next one, and
 * nobody else gets it. NP_AGAIN: none right now, but another reader may find
 * some: yield, then call again. NP_DONE: there are no more. What finds no
 * memory is a problem with error ENOMEM. */
np_status np_walk_next(np_walk_cursor *cursor, np_walk_file *file);

/* The path as a user would write it; returns its length without the NUL, which
 * may be more than `capacity` - 1: then it is cut. */
size_t np_walk_path(const np_walk_file *file, char *out, size_t capacity);

/* Any thread. True: *out is the oldest report, which the caller now owns. */
bool np_walk_take_problem(np_walk *walk, np_walk_problem *out);
/* Any thread. Keeps at most 1,024; more are only counted. */
void np_walk_report(np_walk *walk, const char *path, int error,
                    uint64_t offset);
/* Any thread: no cursor will find anything new, though some may still hold
 * names. */
bool np_walk_is_exhausted(np_walk *walk);
/* Any thread: all reports so far, taken and dropped ones included. */
uint64_t np_walk_problem_count(np_walk *walk);

/* `name` against one component of a pattern: `*`, `?`, `[a-z]`, `[!a-z]`, a
 * backslash quotes. Never allocates; time is at most name times pattern. */
bool np_walk_match(const char *pattern, const char *name);

#endif

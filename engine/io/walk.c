/* A stack of directories that readers take from and put back to. A directory
 * is held by one reader only while that reads a batch of names from it; its
 * descriptor stays open until its last name is done with and its last child has
 * been opened. The stack makes that depth first: few are open at a time. */
#include "io/walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/alloc.h"
#include "base/lock.h"
#include "io/glob.h"

#define BATCH_FILES 32u
#define BATCH_DIRS 64u
#define NAME_ROOM 256u /* NAME_MAX and its NUL */
#define MOST_PROBLEMS 1024u
#define OPEN_FLAGS (O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)

typedef struct walk_dir {
  struct walk_dir *next;    /* on the stack */
  struct walk_dir *parent;  /* held until this one is open; NULL for a start */
  _Atomic uint32_t holders; /* the stack or its taker, batches, children */
  DIR *stream;              /* NULL: not opened yet */
  const np_glob *glob;      /* NULL: everything below */
  uint64_t state;           /* of the glob here */
  const char *name;         /* the end of `path`, relative to the parent */
  char path[];
} walk_dir;

typedef struct problem_node {
  struct problem_node *next;
  np_walk_problem problem;
} problem_node;

struct np_walk {
  np_lock lock; /* guards the next five */
  walk_dir *stack;
  uint32_t busy; /* readers that may yet push */
  uint32_t next_start;
  uint32_t glob_count;
  np_glob **globs; /* one for each start at most */
  uint32_t start_count;
  char **starts;

  np_lock problem_lock; /* guards the rest */
  problem_node *first, **last;
  uint32_t kept;
  uint64_t problem_count;
};

struct np_walk_cursor {
  np_walk *walk;
  walk_dir *dir; /* where the batch is from; NULL: a start */
  uint32_t at, count;
  np_walk_kind kind;
  const char *start;
  char names[BATCH_FILES][NAME_ROOM];
};

static size_t starts_size(const char *const *starts, uint32_t count) {
  size_t size = 0;
  for (uint32_t i = 0; i < count; i++) size += strlen(starts[i]) + 1;
  return size;
}

np_status np_walk_open(np_walk **out, const char *const *starts,
                       uint32_t count) {
  *out = NULL;
  size_t pointers = count * (sizeof(char *) + sizeof(np_glob *));
  np_walk *walk =
      np_alloc_zero(sizeof *walk + pointers + starts_size(starts, count));
  if (walk == NULL) return NP_NOMEM;
  np_lock_init(&walk->lock);
  np_lock_init(&walk->problem_lock);
  walk->last = &walk->first;
  walk->starts = (char **)(walk + 1);
  walk->globs = (np_glob **)(walk->starts + count);
  walk->start_count = count;
  char *text = (char *)(walk->globs + count);
  for (uint32_t i = 0; i < count; i++) {
    size_t size = strlen(starts[i]) + 1;
    walk->starts[i] = memcpy(text, starts[i], size);
    text += size;
  }
  *out = walk;
  return NP_OK;
}

static void release(walk_dir *dir) {
  while (dir != NULL && atomic_fetch_sub(&dir->holders, 1) == 1) {
    walk_dir *parent = dir->parent;
    if (dir->stream != NULL) closedir(dir->stream);
    np_free(dir);
    dir = parent;
  }
}

void np_walk_free(np_walk *walk) {
  np_walk_problem problem;
  if (walk == NULL) return;
  while (walk->stack != NULL) {
    walk_dir *dir = walk->stack;
    walk->stack = dir->next;
    release(dir);
  }
  while (np_walk_take_problem(walk, &problem)) np_free(problem.path);
  for (uint32_t i = 0; i < walk->glob_count; i++) np_glob_free(walk->globs[i]);
  np_free(walk);
}

np_status np_walk_cursor_open(np_walk_cursor **out, np_walk *walk) {
  *out = np_alloc(sizeof **out);
  if (*out == NULL) return NP_NOMEM;
  (*out)->walk = walk;
  (*out)->dir = NULL;
  (*out)->at = (*out)->count = 0;
  return NP_OK;
}

void np_walk_cursor_close(np_walk_cursor *cursor) {
  if (cursor == NULL) return;
  release(cursor->dir);
  np_free(cursor);
}

void np_walk_report(np_walk *walk, const char *path, int error,
                    uint64_t offset) {
  problem_node *node = np_alloc(sizeof *node);
  size_t size = strlen(path) + 1;
  char *copy = np_alloc(size);
  if (copy != NULL) memcpy(copy, path, size);
  np_lock_take(&walk->problem_lock);
  walk->problem_count++;
  bool keep = node != NULL && copy != NULL && walk->kept < MOST_PROBLEMS;
  if (keep) {
    *node = (problem_node){NULL, {copy, error, offset}};
    *walk->last = node;
    walk->last = &node->next;
    walk->kept++;
  }
  np_lock_leave(&walk->problem_lock);
  if (keep) return;
  np_free(node);
  np_free(copy);
}

bool np_walk_take_problem(np_walk *walk, np_walk_problem *out) {
  np_lock_take(&walk->problem_lock);
  problem_node *node = walk->first;
  if (node != NULL) {
    walk->first = node->next;
    if (walk->first == NULL) walk->last = &walk->first;
    walk->kept--;
  }
  np_lock_leave(&walk->problem_lock);
  if (node == NULL) return false;
  *out = node->problem;
  np_free(node);
  return true;
}

uint64_t np_walk_problem_count(np_walk *walk) {
  np_lock_take(&walk->problem_lock);
  uint64_t count = walk->problem_count;
  np_lock_leave(&walk->problem_lock);
  return count;
}

bool np_walk_is_exhausted(np_walk *walk) {
  np_lock_take(&walk->lock);
  bool exhausted = walk->stack == NULL && walk->busy == 0 &&
                   walk->next_start == walk->start_count;
  np_lock_leave(&walk->lock);
  return exhausted;
}

static size_t join(const char *directory, const char *name, char *out,
                   size_t capacity) {
  size_t first = strlen(directory), last = strlen(name);
  bool slash = first > 0 && directory[first - 1] != '/';
  size_t length = first + slash + last;
  if (capacity == 0) return length;
  for (size_t i = 0; i < length && i < capacity - 1; i++)
    out[i] = i < first             ? directory[i]
             : slash && i == first ? '/'
                                   : name[i - first - slash];
  out[length < capacity ? length : capacity - 1] = 0;
  return length;
}

size_t np_walk_path(const np_walk_file *file, char *out, size_t capacity) {
  return join(file->directory_path, file->name, out, capacity);
}

/* A name that cannot be looked at is reported by its full path. */
static void report_name(np_walk *walk, const walk_dir *dir, const char *name,
                        int error) {
  char path[4096]; /* Longer ones are cut. */
  join(dir->path, name, path, sizeof path);
  np_walk_report(walk, path, error, 0);
}

/* Takes a hold on `parent`. NULL: reported. */
static walk_dir *new_dir(np_walk *walk, walk_dir *parent, const char *name) {
  const char *above = parent != NULL ? parent->path : "";
  size_t length = join(above, name, NULL, 0);
  walk_dir *dir = np_alloc_zero(sizeof *dir + length + 1);
  if (dir == NULL) {
    np_walk_report(walk, name, ENOMEM, 0);
    return NULL;
  }
  join(above, name, dir->path, length + 1);
  dir->name = dir->path + length - strlen(name);
  dir->holders = 1;
  dir->parent = parent;
  if (parent == NULL) return dir;
  atomic_fetch_add(&parent->holders, 1);
  dir->glob = parent->glob;
  return dir;
}

static bool open_dir(np_walk *walk, walk_dir *dir) {
  int above = dir->parent != NULL ? dirfd(dir->parent->stream) : AT_FDCWD;
  int flags = OPEN_FLAGS | O_DIRECTORY;
  if (dir->parent != NULL) flags |= O_NOFOLLOW;
  int fd = openat(above, dir->path[0] != 0 ? dir->name : ".", flags);
  dir->stream = fd >= 0 ? fdopendir(fd) : NULL;
  if (dir->stream == NULL) {
    np_walk_report(walk, dir->path, errno, 0);
    if (fd >= 0) close(fd);
    return false;
  }
  release(dir->parent);
  dir->parent = NULL;
  return true;
}

static unsigned char type_of(np_walk *walk, const walk_dir *dir,
                             const struct dirent *entry) {
  struct stat info;
  if (entry->d_type != DT_UNKNOWN) return entry->d_type;
  if (fstatat(dirfd(dir->stream), entry->d_name, &info, AT_SYMLINK_NOFOLLOW)) {
    report_name(walk, dir, entry->d_name, errno);
    return DT_UNKNOWN;
  }
  return S_ISREG(info.st_mode)   ? DT_REG
         : S_ISDIR(info.st_mode) ? DT_DIR
                                 : DT_LNK;
}

/* Puts an entry into the batch, or in front of *found if it is a directory.
 * Answers how many directories that made. */
static uint32_t take_entry(np_walk_cursor *cursor, walk_dir *dir,
                           const struct dirent *entry, walk_dir **found) {
  const char *name = entry->d_name;
  if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) return 0;
  uint64_t state = 0;
  if (dir->glob != NULL) {
    state = np_glob_step(dir->glob, dir->state, name);
    if (state == 0) return 0;
  }
  unsigned char type = type_of(cursor->walk, dir, entry);
  if (type == DT_REG) {
    if (dir->glob != NULL && !np_glob_is_match(dir->glob, state)) return 0;
    size_t size = strlen(name) + 1;
    if (size > NAME_ROOM) { /* No file system of today, but some day. */
      report_name(cursor->walk, dir, name, ENAMETOOLONG);
      return 0;
    }
    memcpy(cursor->names[cursor->count++], name, size);
    return 0;
  }
  if (type != DT_DIR) return 0;
  if (dir->glob != NULL && !np_glob_goes_on(dir->glob, state)) return 0;
  walk_dir *child = new_dir(cursor->walk, dir, name);
  if (child == NULL) return 0;
  child->state = state;
  child->next = *found;
  *found = child;
  return 1;
}

/* Gives back what claim took: pushes the new directories above `dir`, and
 * `dir` itself if it has more names. */
static void give_back(np_walk *walk, walk_dir *dir, bool more,
                      walk_dir *found) {
  np_lock_take(&walk->lock);
  if (more) {
    dir->next = walk->stack;
    walk->stack = dir;
  }
  while (found != NULL) {
    walk_dir *next = found->next;
    found->next = walk->stack;
    walk->stack = found;
    found = next;
  }
  walk->busy--;
  np_lock_leave(&walk->lock);
  if (!more) release(dir);
}

static void read_batch(np_walk_cursor *cursor, walk_dir *dir) {
  walk_dir *found = NULL;
  uint32_t dirs = 0;
  bool more = dir->stream != NULL || open_dir(cursor->walk, dir);
  while (more && cursor->count < BATCH_FILES && dirs < BATCH_DIRS) {
    errno = 0;
    const struct dirent *entry = readdir(dir->stream);
    if (entry == NULL) {
      if (errno != 0) np_walk_report(cursor->walk, dir->path, errno, 0);
      more = false;
    } else {
      dirs += take_entry(cursor, dir, entry, &found);
    }
  }
  if (cursor->count > 0) {
    atomic_fetch_add(&dir->holders, 1);
    cursor->dir = dir;
    cursor->kind = NP_WALK_FILE;
  }
  give_back(cursor->walk, dir, more, found);
}

/* The directory where a pattern begins; NULL: reported. */
static walk_dir *new_glob_dir(np_walk *walk, const char *pattern) {
  np_glob *glob;
  np_status status = np_glob_open(&glob, pattern);
  if (status != NP_OK) {
    np_walk_report(walk, pattern, status == NP_NOMEM ? ENOMEM : E2BIG, 0);
    return NULL;
  }
  np_lock_take(&walk->lock);
  walk->globs[walk->glob_count++] = glob;
  np_lock_leave(&walk->lock);
  walk_dir *dir = new_dir(walk, NULL, np_glob_base(glob));
  if (dir == NULL) return NULL;
  dir->glob = glob;
  dir->state = np_glob_start(glob);
  return dir;
}

static void begin_start(np_walk_cursor *cursor, const char *start) {
  np_walk *walk = cursor->walk;
  walk_dir *dir = NULL;
  struct stat info;
  cursor->start = start;
  if (strcmp(start, "-") == 0) {
    cursor->kind = NP_WALK_STDIN;
    cursor->count = 1;
  } else if (stat(start, &info) == 0) {
    if (S_ISDIR(info.st_mode)) {
      dir = new_dir(walk, NULL, start);
    } else {
      cursor->kind = S_ISREG(info.st_mode) ? NP_WALK_FILE : NP_WALK_STREAM;
      cursor->count = 1;
    }
  } else if (errno == ENOENT && np_glob_is_pattern(start)) {
    dir = new_glob_dir(walk, start);
  } else {
    np_walk_report(walk, start, errno, 0);
  }
  give_back(walk, dir, dir != NULL, NULL);
}

/* NP_OK: the caller has *dir or *start and must give back. */
static np_status claim(np_walk *walk, walk_dir **dir, const char **start) {
  np_status status = NP_OK;
  np_lock_take(&walk->lock);
  *dir = walk->stack;
  if (*dir != NULL)
    walk->stack = (*dir)->next;
  else if (walk->next_start < walk->start_count)
    *start = walk->starts[walk->next_start++];
  else
    status = walk->busy > 0 ? NP_AGAIN : NP_DONE;
  if (status == NP_OK) walk->busy++;
  np_lock_leave(&walk->lock);
  return status;
}

np_status np_walk_next(np_walk_cursor *cursor, np_walk_file *file) {
  while (cursor->at == cursor->count) {
    walk_dir *dir;
    const char *start = NULL;
    release(cursor->dir);
    cursor->dir = NULL;
    cursor->at = cursor->count = 0;
    np_status status = claim(cursor->walk, &dir, &start);
    if (status != NP_OK) return status;
    if (dir != NULL)
      read_batch(cursor, dir);
    else
      begin_start(cursor, start);
  }
  const walk_dir *dir = cursor->dir;
  *file = (np_walk_file){.directory = AT_FDCWD,
                         .flags = OPEN_FLAGS,
                         .name = cursor->start,
                         .directory_path = "",
                         .kind = cursor->kind};
  if (dir != NULL) {
    file->directory = dirfd(dir->stream);
    file->flags |= O_NOFOLLOW;
    file->name = cursor->names[cursor->at];
    file->directory_path = dir->path;
  }
  cursor->at++;
  return NP_OK;
}

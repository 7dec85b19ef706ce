/* wordcount_limit.c - the word count as fast as we can write it in C.
 * Prints the 20 most frequent words of all regular files below a directory,
 * as `count word`; words are runs of bytes that are no ASCII white space, or
 * with -letters of ASCII letters. It is a yardstick for the engine's native
 * stages and shares no code with them.
 *
 *   wordcount_limit [-letters] [-all] DIR
 *
 * One thread a CPU takes directories from a shared stack, reads many files
 * into one block, finds the words in it by bit masks and counts them. While a
 * thread knows few words it counts in a table of its own; from own_limit on in
 * one that all share, which is cut by hash into locked parts. */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum {
  part_bits = 6,
  part_count = 1 << part_bits,
  inline_key = 16,
  own_batch = 32,     /* words hashed and prefetched before they are counted */
  shared_batch = 256, /* words counted under one lock */
  block_size = 1 << 20,
  block_low = 1 << 18, /* room below which a block is counted */
  slack = 64,          /* readable bytes behind a block */
  stripe = 4096,       /* bytes whose masks are made at a time */
  huge_page = 2 << 20,
  shown = 20
};
static const size_t own_limit = 32 << 20; /* bytes of a thread's own table */

static void fail(const char *what) {
  perror(what);
  exit(1);
}

/* ---- memory: zeroed, never freed, on huge pages where it is large ---- */

static void *pages(size_t size) {
  if (size < huge_page) {
    void *memory = calloc(1, size);
    if (memory == NULL) fail("calloc");
    return memory;
  }
  char *map = mmap(NULL, size + huge_page, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (map == MAP_FAILED) fail("mmap");
  map += -(uintptr_t)map & (huge_page - 1);
  madvise(map, size, MADV_HUGEPAGE); /* A refusal changes only the speed. */
  return map;
}

static void pages_free(void *memory, size_t size) {
  if (size < huge_page) free(memory);
  else munmap(memory, size); /* The rest of the mapping was never touched. */
}

typedef struct {
  char *next;
  size_t room;
} arena;

static const char *arena_put(arena *a, const char *key, size_t length) {
  if (length > a->room) {
    a->room = length > huge_page ? length : huge_page;
    a->next = pages(a->room);
  }
  char *at = memcpy(a->next, key, length);
  a->next += length;
  a->room -= length;
  return at;
}

/* ---- tables ---- */

/* Free while count is 0. A key of up to 16 bytes is in lo and hi; of a longer
 * one lo is the hash and hi the address of its bytes. */
typedef struct {
  uint64_t lo, hi;
  uint32_t count, length;
  uint32_t tag; /* Low half of the hash: the home slot at any table size. */
  uint32_t unused;
} entry;

typedef struct {
  entry *entries;
  uint32_t mask, used;
  pthread_mutex_t lock; /* Taken in the shared table only. */
} part;

typedef struct {
  part parts[part_count];
  size_t bytes; /* Kept for own tables only. */
} table;

static void table_init(table *t) {
  for (int i = 0; i < part_count; i++) {
    part *p = &t->parts[i];
    p->mask = 255;
    p->used = 0;
    p->entries = pages(256 * sizeof(entry));
    pthread_mutex_init(&p->lock, NULL);
  }
  t->bytes = part_count * 256 * sizeof(entry);
}

static void part_grow(part *p) {
  uint32_t mask = p->mask * 2 + 1;
  entry *entries = pages((mask + 1ul) * sizeof(entry));
  for (uint32_t i = 0; i <= p->mask; i++) {
    if (p->entries[i].count == 0) continue;
    uint32_t at = p->entries[i].tag & mask;
    while (entries[at].count != 0) at = (at + 1) & mask;
    entries[at] = p->entries[i];
  }
  pages_free(p->entries, (p->mask + 1ul) * sizeof(entry));
  p->entries = entries;
  p->mask = mask;
}

typedef struct {
  uint64_t lo, hi;
  const char *key;
  uint32_t length, tag;
} word;

static entry *part_find(part *p, const word *w) {
  for (uint32_t at = w->tag & p->mask;; at = (at + 1) & p->mask) {
    entry *e = &p->entries[at];
    if (e->count == 0) return e;
    if (e->lo != w->lo || e->length != w->length) continue;
    if (e->length <= inline_key ? e->hi == w->hi
                                : !memcmp((void *)e->hi, w->key, e->length))
      return e;
  }
}

/* Adds a word; a new long one is copied if `keys` is given. True if the part
 * grew. */
static int part_add(part *p, const word *w, uint32_t count, arena *keys) {
  entry *e = part_find(p, w);
  e->count += count;
  if (e->count != count) return 0;
  e->lo = w->lo;
  e->hi = w->hi;
  e->length = w->length;
  e->tag = w->tag;
  if (w->length > inline_key)
    e->hi = (uintptr_t)(keys ? arena_put(keys, w->key, w->length) : w->key);
  if (++p->used <= p->mask / 8 * 5) return 0;
  part_grow(p);
  return 1;
}

/* ---- a worker ---- */

typedef struct {
  word words[shared_batch];
  uint32_t count;
} batch;

typedef struct {
  pthread_t thread;
  table own;
  int shares; /* Counts in the shared table already. */
  batch waiting[part_count]; /* Own table: only the first is used. */
  arena keys;
  char *block;
  size_t used, room;
  entry best[shown]; /* The best words of the parts it looked through. */
  int best_count;
} worker;

static table shared;
static int letters, all;

static uint64_t load(const char *at) {
  uint64_t value;
  memcpy(&value, at, sizeof value);
  return value;
}

static uint64_t mix(uint64_t a, uint64_t b) {
  unsigned __int128 product = (unsigned __int128)a * b;
  return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static void count_own(worker *w) {
  batch *b = &w->waiting[0];
  for (uint32_t i = 0; i < b->count; i++) {
    part *p = &w->own.parts[b->words[i].tag >> (32 - part_bits)];
    if (part_add(p, &b->words[i], 1, &w->keys))
      w->own.bytes += (p->mask + 1ul) / 2 * sizeof(entry);
  }
  b->count = 0;
}

static void count_shared(worker *w, int index) {
  batch *b = &w->waiting[index];
  part *p = &shared.parts[index];
  pthread_mutex_lock(&p->lock);
  for (uint32_t i = 0; i < b->count; i++) {
    if (i % own_batch == 0) {
      uint32_t end = i + own_batch < b->count ? i + own_batch : b->count;
      for (uint32_t k = i; k < end; k++)
        __builtin_prefetch(&p->entries[b->words[k].tag & p->mask]);
    }
    part_add(p, &b->words[i], 1, &w->keys);
  }
  pthread_mutex_unlock(&p->lock);
  b->count = 0;
}

/* Counts what waits: its words lie in a block that is about to change. */
static void count_waiting(worker *w) {
  if (!w->shares) count_own(w);
  for (int i = 0; w->shares && i < part_count; i++)
    if (w->waiting[i].count > 0) count_shared(w, i);
}

/* Moves the own table into the shared one; workers begin at different parts. */
static void hand_over(worker *w, int from) {
  for (int i = 0; i < part_count; i++) {
    int index = (i + from) % part_count;
    part *own = &w->own.parts[index], *to = &shared.parts[index];
    pthread_mutex_lock(&to->lock);
    for (uint32_t k = 0; own->used > 0 && k <= own->mask; k++) {
      entry *e = &own->entries[k];
      if (e->count == 0) continue;
      word key = {e->lo, e->hi, (char *)e->hi, e->length, e->tag};
      part_add(to, &key, e->count, NULL);
    }
    pthread_mutex_unlock(&to->lock);
    pages_free(own->entries, (own->mask + 1ul) * sizeof(entry));
  }
}

static inline void add(worker *w, const char *key, size_t length) {
  word next = {.key = key, .length = (uint32_t)length};
  uint64_t hash;
  if (length <= inline_key) {
    uint64_t lo = load(key), hi = 0;
    if (length <= 8) lo &= ~0ull >> (64 - 8 * length);
    else hi = load(key + 8) & ~0ull >> (128 - 8 * length);
    next.lo = lo;
    next.hi = hi;
    hash = mix(lo ^ 0x9e3779b97f4a7c15, hi ^ (0xd6e8feb86659fd93 + length));
  } else {
    hash = length;
    for (size_t i = 0; i < length - 8; i += 8)
      hash = mix(load(key + i) ^ 0x9e3779b97f4a7c15 ^ hash, 0xd6e8feb86659fd93);
    hash = mix(load(key + length - 8) ^ 0x9e3779b97f4a7c15 ^ hash,
               0xd6e8feb86659fd93);
    next.lo = hash;
    next.hi = 0;
  }
  next.tag = (uint32_t)hash;

  int index = (int)(next.tag >> (32 - part_bits));
  if (w->shares) {
    batch *b = &w->waiting[index];
    b->words[b->count] = next;
    if (++b->count == shared_batch) count_shared(w, index);
    return;
  }
  part *p = &w->own.parts[index];
  __builtin_prefetch(&p->entries[next.tag & p->mask]);
  batch *b = &w->waiting[0];
  b->words[b->count] = next;
  if (++b->count == own_batch) count_own(w);
}

/* ---- words: one bit a byte, set inside words, 64 bytes a mask ---- */

#if defined(__x86_64__)
static void masks_sse2(const char *data, size_t count, uint64_t *masks) {
  const __m128i fold = _mm_set1_epi8(letters ? 0x20 : 0);
  const __m128i low = _mm_set1_epi8(letters ? 'a' : '\t');
  const __m128i span = _mm_set1_epi8(letters ? 25 : 4);
  const __m128i blank = _mm_set1_epi8(' ');
  for (size_t i = 0; i < count; i++) {
    uint64_t in = 0, space = 0;
    for (int k = 0; k < 4; k++) {
      __m128i v = _mm_loadu_si128((const __m128i *)(data + 64 * i + 16 * k));
      __m128i off = _mm_sub_epi8(_mm_or_si128(v, fold), low);
      __m128i hit = _mm_cmpeq_epi8(_mm_min_epu8(off, span), off);
      in |= (uint64_t)(uint32_t)_mm_movemask_epi8(hit) << 16 * k;
      hit = _mm_cmpeq_epi8(v, blank);
      space |= (uint64_t)(uint32_t)_mm_movemask_epi8(hit) << 16 * k;
    }
    masks[i] = letters ? in : ~(in | space);
  }
}

__attribute__((target("avx2")))
static void masks_avx2(const char *data, size_t count, uint64_t *masks) {
  const __m256i fold = _mm256_set1_epi8(letters ? 0x20 : 0);
  const __m256i low = _mm256_set1_epi8(letters ? 'a' : '\t');
  const __m256i span = _mm256_set1_epi8(letters ? 25 : 4);
  const __m256i blank = _mm256_set1_epi8(' ');
  for (size_t i = 0; i < count; i++) {
    uint64_t in = 0, space = 0;
    for (int k = 0; k < 2; k++) {
      __m256i v = _mm256_loadu_si256((const __m256i *)(data + 64 * i + 32 * k));
      __m256i off = _mm256_sub_epi8(_mm256_or_si256(v, fold), low);
      __m256i hit = _mm256_cmpeq_epi8(_mm256_min_epu8(off, span), off);
      in |= (uint64_t)(uint32_t)_mm256_movemask_epi8(hit) << 32 * k;
      hit = _mm256_cmpeq_epi8(v, blank);
      space |= (uint64_t)(uint32_t)_mm256_movemask_epi8(hit) << 32 * k;
    }
    masks[i] = letters ? in : ~(in | space);
  }
}
#else
static void masks_plain(const char *data, size_t count, uint64_t *masks) {
  for (size_t i = 0; i < count; i++) {
    masks[i] = 0;
    for (int k = 0; k < 64; k++) {
      unsigned char c = (unsigned char)data[64 * i + k];
      int in = letters ? (c | 32) - 'a' < 26u : c != ' ' && c - '\t' > 4u;
      masks[i] |= (uint64_t)in << k;
    }
  }
}
#endif

static void (*make_masks)(const char *, size_t, uint64_t *);

static void choose_masks(void) {
#if defined(__x86_64__)
  make_masks = __builtin_cpu_supports("avx2") ? masks_avx2 : masks_sse2;
#else
  make_masks = masks_plain;
#endif
}

/* Counts the words of the block but for one that reaches its end, and moves
 * that one to the front. */
static void count_block(worker *w) {
  uint64_t masks[stripe / 64];
  const char *start = w->block, *end = w->block + w->used;
  uint64_t inside = 0; /* Whether the byte before was in a word. */
  for (const char *at = w->block; at < end; at += stripe) {
    size_t left = (size_t)(end - at), count = (left + 63) / 64;
    if (count > stripe / 64) count = stripe / 64;
    make_masks(at, count, masks);
    for (size_t i = 0; i < count; i++) {
      uint64_t mask = masks[i];
      if (left < 64 * (i + 1)) { /* The word at the end is to stay open. */
        uint64_t behind = ~0ull << (left - 64 * i);
        mask = (mask >> (left - 64 * i - 1) & 1) ? mask | behind : mask & ~behind;
      }
      uint64_t edges = mask ^ (mask << 1 | inside);
      for (; edges != 0; edges &= edges - 1) {
        const char *edge = at + 64 * i + __builtin_ctzll(edges);
        if (inside) add(w, start, (size_t)(edge - start));
        else start = edge;
        inside ^= 1;
      }
    }
  }
  if (!inside) start = end;
  count_waiting(w);
  if (!w->shares && w->own.bytes > own_limit) {
    hand_over(w, 0);
    w->shares = 1;
  }
  w->used = (size_t)(end - start);
  memmove(w->block, start, w->used);
}

/* ---- files ---- */

static void make_room(worker *w) {
  if (w->room - w->used >= block_low) return;
  count_block(w);
  if (w->room - w->used >= block_low) return;
  w->room *= 2; /* One word fills the block. */
  w->block = realloc(w->block, w->room + slack);
  if (w->block == NULL) fail("realloc");
}

static void read_file(worker *w, int dir, const char *name) {
  int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) fail(name);
  for (;;) {
    make_room(w);
    size_t room = w->room - w->used - 1;
    ssize_t got = read(fd, w->block + w->used, room);
    if (got < 0) fail(name);
    w->used += (size_t)got;
    if ((size_t)got < room) break; /* A short read is the end. */
  }
  close(fd);
  w->block[w->used++] = '\n'; /* No word goes on in the next file. */
}

/* Directories that nobody has taken yet; open counts those in work too. */
static struct {
  pthread_mutex_t lock;
  pthread_cond_t news;
  char **paths;
  size_t count, room, open;
} todo = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, NULL, 0, 0, 0};

static void todo_push(char *path) {
  pthread_mutex_lock(&todo.lock);
  if (todo.count == todo.room) {
    todo.room = todo.room * 2 + 64;
    todo.paths = realloc(todo.paths, todo.room * sizeof *todo.paths);
    if (todo.paths == NULL) fail("realloc");
  }
  todo.paths[todo.count++] = path;
  todo.open++;
  pthread_mutex_unlock(&todo.lock);
  pthread_cond_signal(&todo.news);
}

static char *todo_pop(void) {
  pthread_mutex_lock(&todo.lock);
  while (todo.count == 0 && todo.open > 0)
    pthread_cond_wait(&todo.news, &todo.lock);
  char *path = todo.count > 0 ? todo.paths[--todo.count] : NULL;
  pthread_mutex_unlock(&todo.lock);
  return path;
}

static void todo_done(void) {
  pthread_mutex_lock(&todo.lock);
  if (--todo.open == 0) pthread_cond_broadcast(&todo.news);
  pthread_mutex_unlock(&todo.lock);
}

static void read_directory(worker *w, const char *path) {
  DIR *dir = opendir(path);
  if (dir == NULL) fail(path);
  for (struct dirent *item; (item = readdir(dir)) != NULL;) {
    const char *name = item->d_name;
    if (item->d_type == DT_REG) read_file(w, dirfd(dir), name);
    if (item->d_type != DT_DIR || !strcmp(name, ".") || !strcmp(name, ".."))
      continue;
    char *below;
    if (asprintf(&below, "%s/%s", path, name) < 0) fail("asprintf");
    todo_push(below);
  }
  closedir(dir);
}

/* ---- result ---- */

static const char *entry_key(const entry *e) {
  return e->length <= inline_key ? (const char *)&e->lo : (const char *)e->hi;
}

static int by_count(const void *left, const void *right) {
  const entry *a = left, *b = right;
  if (a->count != b->count) return a->count < b->count ? 1 : -1;
  size_t common = a->length < b->length ? a->length : b->length;
  int order = memcmp(entry_key(a), entry_key(b), common);
  return order != 0 ? order : (a->length > b->length) - (a->length < b->length);
}

static void print_entry(const entry *e) {
  printf("%u %.*s\n", e->count, (int)e->length, entry_key(e));
}

static void keep_best(worker *w, const entry *e) {
  if (w->best_count == shown && by_count(e, &w->best[shown - 1]) > 0) return;
  int at = w->best_count < shown ? w->best_count++ : shown - 1;
  for (; at > 0 && by_count(e, &w->best[at - 1]) < 0; at--)
    w->best[at] = w->best[at - 1];
  w->best[at] = *e;
}

static pthread_barrier_t counted;
static int next_part; /* Atomic. */
static int started;   /* Atomic: how many workers have a number. */

static void *work(void *argument) {
  worker *w = argument;
  int number = __atomic_fetch_add(&started, 1, __ATOMIC_RELAXED);
  for (char *path; (path = todo_pop()) != NULL; free(path)) {
    read_directory(w, path);
    todo_done();
  }
  count_block(w);
  if (!w->shares) hand_over(w, number * part_count / 2);
  pthread_barrier_wait(&counted);
  for (;;) {
    int index = __atomic_fetch_add(&next_part, 1, __ATOMIC_RELAXED);
    if (index >= part_count || all) return NULL;
    part *p = &shared.parts[index];
    for (uint32_t i = 0; i <= p->mask; i++)
      if (p->entries[i].count > 0) keep_best(w, &p->entries[i]);
  }
}

int main(int argc, char **argv) {
  int at = 1;
  for (; at < argc && argv[at][0] == '-'; at++) {
    letters |= !strcmp(argv[at], "-letters");
    all |= !strcmp(argv[at], "-all"); /* Every word, in no order. */
  }
  if (at + 1 != argc) {
    fputs("usage: wordcount_limit [-letters] [-all] DIR\n", stderr);
    return 2;
  }
  choose_masks();
  table_init(&shared);
  todo_push(strdup(argv[at]));

  long threads = sysconf(_SC_NPROCESSORS_ONLN);
  worker *workers = calloc((size_t)threads, sizeof *workers);
  if (workers == NULL) fail("calloc");
  pthread_barrier_init(&counted, NULL, (unsigned)threads);
  for (long i = 0; i < threads; i++) {
    worker *w = &workers[i];
    table_init(&w->own);
    w->room = block_size;
    w->block = malloc(w->room + slack);
    if (w->block == NULL) fail("malloc");
    if (pthread_create(&w->thread, NULL, work, w) != 0) fail("pthread_create");
  }
  for (long i = 0; i < threads; i++) pthread_join(workers[i].thread, NULL);

  for (long i = 1; i < threads; i++)
    for (int k = 0; k < workers[i].best_count; k++)
      keep_best(&workers[0], &workers[i].best[k]);
  for (int i = 0; i < workers[0].best_count; i++)
    print_entry(&workers[0].best[i]);
  for (int i = 0; all && i < part_count; i++)
    for (uint32_t k = 0; k <= shared.parts[i].mask; k++)
      if (shared.parts[i].entries[k].count > 0)
        print_entry(&shared.parts[i].entries[k]);
  fflush(stdout);
  _exit(0); /* Giving 12 million keys back one page at a time would be felt. */
}

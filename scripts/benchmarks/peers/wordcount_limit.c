/* wordcount_limit.c - the word count as fast as we can write it in C.
 * Prints the 20 most frequent words of all regular files below a directory,
 * as `count word`; words are runs of bytes that are no ASCII white space, or
 * with -letters of ASCII letters. It is a yardstick for the engine's native
 * stages and shares no code with them.
 *
 *   wordcount_limit [-letters] [-all] DIR
 *
 * One thread a CPU takes directories from a shared stack, reads many files
 * into one block and finds the words in it by bit masks. Counting is a matter
 * of cache misses, so it has two phases. First each thread counts in a front
 * that fits its cache, and writes what it drops from there, with the count so
 * far, and every long word, to one of many partitions by hash. Then each
 * partition, both threads' records, is counted in a table that fits the cache
 * too. Memory follows what was dropped (0.9 GB for 1.3 GB of source code), not
 * the number of distinct words, which a limit program may do. */
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
  partition_bits = 10,
  partition_count = 1 << partition_bits,
  front_size = 1 << 14, /* Entries, in pairs: 512 KiB. */
  inline_key = 16,
  chunk_size = 8 << 10, /* Of a partition. */
  arena_size = 16 << 20,
  block_size = 1 << 20,
  block_low = 1 << 18, /* Room below which a block is counted. */
  slack = 64,          /* Readable bytes behind a block or a chunk's records. */
  stripe = 4096,       /* Bytes whose masks are made at a time. */
  huge_page = 2 << 20,
  shown = 20
};

static void fail(const char *what) {
  perror(what);
  exit(1);
}

/* ---- memory: zeroed, on huge pages where it is large ---- */

static void *pages(size_t size) {
  char *map = mmap(NULL, size + huge_page, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (map == MAP_FAILED) fail("mmap");
  map += -(uintptr_t)map & (huge_page - 1);
  madvise(map, size, MADV_HUGEPAGE); /* A refusal changes only the speed. */
  return map;
}

/* Blocks are never given back. */
typedef struct {
  char *next;
  size_t room;
} arena;

static void *arena_take(arena *a, size_t size) {
  size = (size + 63) & ~(size_t)63;
  if (size > a->room) {
    a->room = size > arena_size ? size : arena_size;
    a->next = pages(a->room);
  }
  char *at = a->next;
  a->next += size;
  a->room -= size;
  return at;
}

/* ---- words, records, entries ---- */

/* What a partition keeps: variable in length, 4-byte aligned. */
typedef struct {
  uint32_t tag, count, length;
  char key[];
} record;

typedef struct chunk {
  struct chunk *next;
  size_t used;
  char records[];
} chunk;

/* Free while count is 0. A key of up to 16 bytes is in lo and hi; of a longer
 * one lo has the first 8 bytes and hi the address of all. */
typedef struct {
  uint64_t lo, hi;
  uint32_t count, length;
  uint32_t tag; /* Of the hash: high bits the partition, low bits the slot. */
  uint32_t unused;
} entry;

typedef struct {
  entry *entries;
  uint32_t mask, used;
} table;

typedef struct {
  pthread_t thread;
  char *block;
  size_t used, room;
  entry *front;
  chunk *partitions[partition_count];
  arena arena;
  table table;
  entry best[shown]; /* The best words of the partitions it counted. */
  int best_count;
} worker;

static worker *workers;
static long worker_count;
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

/* Up to 16 bytes; 16 are read. */
static inline void load_key(const char *key, size_t length, uint64_t *lo,
                            uint64_t *hi) {
  *lo = load(key);
  *hi = 0;
  if (length <= 8) *lo &= ~0ull >> (64 - 8 * length);
  else *hi = load(key + 8) & ~0ull >> (128 - 8 * length);
}

/* ---- first phase: the front and the partitions ---- */

static size_t record_size(size_t length) {
  return (sizeof(record) + length + 3) & ~(size_t)3;
}

static record *new_record(worker *w, uint32_t tag, uint32_t count,
                          size_t length) {
  chunk **last = &w->partitions[tag >> (32 - partition_bits)];
  size_t size = record_size(length), needed = sizeof(chunk) + size + slack;
  if (*last == NULL || (*last)->used + needed > chunk_size) {
    chunk *more = arena_take(&w->arena, needed > chunk_size ? needed : chunk_size);
    more->next = *last;
    *last = more;
  }
  record *r = (record *)((*last)->records + (*last)->used);
  (*last)->used += size;
  r->tag = tag;
  r->count = count;
  r->length = (uint32_t)length;
  return r;
}

static void drop(worker *w, const entry *e) {
  memcpy(new_record(w, e->tag, e->count, e->length)->key, &e->lo, inline_key);
}

static void add_long(worker *w, const char *key, size_t length) {
  const uint64_t a = 0x9e3779b97f4a7c15, b = 0xd6e8feb86659fd93;
  uint64_t hash = length;
  for (size_t i = 0; i < length - 8; i += 8)
    hash = mix(load(key + i) ^ a ^ hash, b);
  hash = mix(load(key + length - 8) ^ a ^ hash, b);
  memcpy(new_record(w, (uint32_t)hash, 1, length)->key, key, length);
}

static inline void add(worker *w, const char *key, size_t length) {
  if (length > inline_key) {
    add_long(w, key, length);
    return;
  }
  uint64_t lo, hi;
  load_key(key, length, &lo, &hi);
  uint64_t hash =
      mix(lo ^ 0x9e3779b97f4a7c15, hi ^ (0xd6e8feb86659fd93 + length));

  entry *pair = &w->front[hash & (front_size - 2)]; /* One cache line. */
  for (int i = 0; i < 2; i++) {
    entry *e = &pair[i];
    if (e->lo == lo && e->hi == hi && e->length == length) {
      e->count++;
      return;
    }
  }
  /* The rarer one goes, so that frequent words stay. */
  entry *e = &pair[pair[1].count < pair[0].count];
  if (e->count > 0) drop(w, e);
  *e = (entry){lo, hi, 1, (uint32_t)length, (uint32_t)hash, 0};
}

/* ---- second phase: a table a partition ---- */

/* Makes the table empty; it keeps the size that the partition before needed. */
static void table_clear(table *t) {
  if (t->entries == NULL) {
    t->mask = 255;
    t->entries = calloc(t->mask + 1, sizeof(entry));
    if (t->entries == NULL) fail("calloc");
  }
  memset(t->entries, 0, (t->mask + 1ul) * sizeof(entry));
  t->used = 0;
}

static void table_grow(table *t) {
  uint32_t mask = t->mask * 2 + 1;
  entry *entries = calloc(mask + 1ul, sizeof(entry));
  if (entries == NULL) fail("calloc");
  for (uint32_t i = 0; i <= t->mask; i++) {
    if (t->entries[i].count == 0) continue;
    uint32_t at = t->entries[i].tag & mask;
    while (entries[at].count != 0) at = (at + 1) & mask;
    entries[at] = t->entries[i];
  }
  free(t->entries);
  t->entries = entries;
  t->mask = mask;
}

static entry *table_find(table *t, const record *r, uint64_t lo, uint64_t hi) {
  for (uint32_t at = r->tag & t->mask;; at = (at + 1) & t->mask) {
    entry *e = &t->entries[at];
    if (e->count == 0) return e;
    if (e->lo != lo || e->length != r->length) continue;
    if (r->length <= inline_key
            ? e->hi == hi
            : e->tag == r->tag && !memcmp((char *)e->hi, r->key, r->length))
      return e;
  }
}

static void table_add(table *t, const record *r) {
  uint64_t lo = load(r->key), hi = (uintptr_t)r->key;
  if (r->length <= inline_key) load_key(r->key, r->length, &lo, &hi);
  entry *e = table_find(t, r, lo, hi);
  if (e->count > 0) {
    e->count += r->count;
    return;
  }
  *e = (entry){lo, hi, r->count, r->length, r->tag, 0};
  if (++t->used > t->mask / 8 * 5) table_grow(t);
}

static void count_partition(table *t, int index) {
  table_clear(t);
  for (long i = 0; i < worker_count; i++)
    for (chunk *c = workers[i].partitions[index]; c != NULL; c = c->next)
      for (size_t at = 0; at < c->used;) {
        const record *r = (record *)(c->records + at);
        table_add(t, r);
        at += record_size(r->length);
      }
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

static pthread_barrier_t all_read;
static int next_partition; /* Atomic. */

static void *work(void *argument) {
  worker *w = argument;
  for (char *path; (path = todo_pop()) != NULL; free(path)) {
    read_directory(w, path);
    todo_done();
  }
  count_block(w);
  for (int i = 0; i < front_size; i++)
    if (w->front[i].count > 0) drop(w, &w->front[i]);
  pthread_barrier_wait(&all_read);

  for (;;) {
    int index = __atomic_fetch_add(&next_partition, 1, __ATOMIC_RELAXED);
    if (index >= partition_count) return NULL;
    count_partition(&w->table, index);
    for (uint32_t i = 0; i <= w->table.mask; i++) {
      const entry *e = &w->table.entries[i];
      if (e->count == 0) continue;
      if (all) print_entry(e);
      else keep_best(w, e);
    }
  }
}

static void start(worker *w) {
  w->room = block_size;
  w->block = malloc(w->room + slack);
  if (w->block == NULL) fail("malloc");
  w->front = pages(front_size * sizeof(entry));
  if (pthread_create(&w->thread, NULL, work, w) != 0) fail("pthread_create");
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
  todo_push(strdup(argv[at]));

  worker_count = sysconf(_SC_NPROCESSORS_ONLN);
  workers = calloc((size_t)worker_count, sizeof *workers);
  if (workers == NULL) fail("calloc");
  pthread_barrier_init(&all_read, NULL, (unsigned)worker_count);
  for (long i = 0; i < worker_count; i++) start(&workers[i]);
  for (long i = 0; i < worker_count; i++) pthread_join(workers[i].thread, NULL);

  for (long i = 1; i < worker_count; i++)
    for (int k = 0; k < workers[i].best_count; k++)
      keep_best(&workers[0], &workers[i].best[k]);
  for (int i = 0; i < workers[0].best_count; i++)
    print_entry(&workers[0].best[i]);
  fflush(stdout);
  _exit(0); /* Giving a gigabyte back one page at a time would be felt. */
}

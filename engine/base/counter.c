#include "base/counter.h"

#include <stdatomic.h>
#include <string.h>
#include "base/alloc.h"
#include "base/entry.h"
#include "base/front.h"

/* How many keys a counter adds before it looks at its size again. */
#define LOOK_EVERY 1024u
/* An own table of this size is no faster than a front. */
#define FRONT_FROM (UINT64_C(512) << 10)

struct np_counter {
  np_front *front;         /* once `own` is too large for the cache */
  np_table own;            /* until it is handed over */
  np_table_feeder *feeder; /* from then on; else NULL */
  np_counting *counting;
  uint32_t unseen; /* keys added since the size was looked at */
  /* For other threads: what `own` and `feeder` were at the last look. */
  _Atomic uint64_t shown_keys, shown_bytes;
  char apart[64];
};

struct np_counting {
  uint64_t seed, hand_over_at;
  uint32_t workers;
  np_lock lock; /* guards the opening of `shared` */
  np_shared_table *_Atomic shared;
  _Atomic uint32_t next_step; /* of combining */
  np_counter counters[];
};

struct np_counts {
  uint64_t seed, distinct;
  uint32_t part_count;
  np_arena arena;
  np_table_part parts[NP_SHARED_PARTS];
};

np_status np_counting_open(np_counting **out, uint32_t workers, uint64_t seed) {
  np_assert(workers > 0);
  *out = NULL;
  np_counting *counting =
      np_alloc_zero(sizeof *counting + workers * sizeof counting->counters[0]);
  if (counting == NULL) return NP_NOMEM;
  counting->seed = seed;
  counting->hand_over_at = NP_COUNTER_HAND_OVER;
  counting->workers = workers;
  np_lock_init(&counting->lock);
  for (uint32_t i = 0; i < workers; i++) {
    np_table_init(&counting->counters[i].own, seed);
    counting->counters[i].counting = counting;
  }
  *out = counting;
  return NP_OK;
}

void np_counting_free(np_counting *counting) {
  if (counting == NULL) return;
  for (uint32_t i = 0; i < counting->workers; i++) {
    np_table_feeder_close(counting->counters[i].feeder);
    np_front_free(counting->counters[i].front);
    np_table_clear(&counting->counters[i].own);
  }
  np_shared_table_free(atomic_load(&counting->shared));
  np_free(counting);
}

void np_counting_hand_over_at(np_counting *counting, uint64_t bytes) {
  counting->hand_over_at = bytes;
}

np_counter *np_counting_counter(np_counting *counting, uint32_t worker) {
  np_assert(worker < counting->workers);
  return &counting->counters[worker];
}

uint64_t np_counting_bytes(np_counting *counting) {
  np_shared_table *shared = atomic_load(&counting->shared);
  uint64_t bytes = shared != NULL ? np_shared_table_bytes(shared) : 0;
  for (uint32_t i = 0; i < counting->workers; i++)
    bytes += atomic_load_explicit(&counting->counters[i].shown_bytes,
                                  memory_order_relaxed);
  return bytes;
}

uint64_t np_counting_keys(np_counting *counting) {
  np_shared_table *shared = atomic_load(&counting->shared);
  uint64_t keys = shared != NULL ? np_shared_table_keys(shared) : 0;
  for (uint32_t i = 0; i < counting->workers; i++)
    keys += atomic_load_explicit(&counting->counters[i].shown_keys,
                                 memory_order_relaxed);
  return keys;
}

static void show_size(np_counter *counter) {
  uint64_t bytes = np_table_bytes(&counter->own);
  if (counter->feeder != NULL) bytes += np_table_feeder_bytes(counter->feeder);
  atomic_store_explicit(&counter->shown_bytes, bytes, memory_order_relaxed);
  atomic_store_explicit(&counter->shown_keys, np_table_keys(&counter->own),
                        memory_order_relaxed);
}

static np_status open_shared(np_counting *counting, np_shared_table **out) {
  np_status status = NP_OK;
  np_lock_take(&counting->lock);
  *out = atomic_load(&counting->shared);
  if (*out == NULL) {
    status = np_shared_table_open(out, counting->seed);
    atomic_store(&counting->shared, *out);
  }
  np_lock_leave(&counting->lock);
  return status;
}

static np_status hand_over(np_counter *counter) {
  np_shared_table *shared;
  np_status status = open_shared(counter->counting, &shared);
  if (status != NP_OK) return status;
  status = np_table_feeder_open(&counter->feeder, shared);
  if (status != NP_OK) return status;
  return np_shared_table_take(shared, &counter->own);
}

static np_status look(np_counter *counter) {
  np_status status = NP_OK;
  uint64_t bytes = np_table_bytes(&counter->own);
  counter->unseen = 0;
  if (counter->front == NULL && bytes >= FRONT_FROM)
    status = np_front_open(&counter->front, counter->own.seed);
  if (status == NP_OK && counter->feeder == NULL &&
      bytes >= counter->counting->hand_over_at)
    status = hand_over(counter);
  show_size(counter);
  return status;
}

static np_status add_entries(np_counter *counter, const np_entry *entries,
                             uint32_t n) {
  if (counter->feeder != NULL)
    return np_table_feeder_add_entries(counter->feeder, entries, n);
  return np_table_add_entries(&counter->own, entries, n);
}

static np_status add_by_front(np_counter *counter, const char *base,
                              const uint32_t *starts, const uint32_t *lengths,
                              uint32_t n, uint64_t each) {
  np_entry dropped[NP_FRONT_BATCH];
  for (uint32_t at = 0; at < n; at += NP_FRONT_BATCH) {
    uint32_t count = n - at < NP_FRONT_BATCH ? n - at : NP_FRONT_BATCH;
    count = np_front_add(counter->front, base, starts + at, lengths + at, count,
                         each, dropped);
    np_status status = add_entries(counter, dropped, count);
    if (np_unlikely(status != NP_OK)) return status;
  }
  return NP_OK;
}

np_status np_counter_add_batch(np_counter *counter, const char *base,
                               const uint32_t *starts, const uint32_t *lengths,
                               uint32_t n, uint64_t each) {
  counter->unseen += n;
  if (np_unlikely(counter->unseen >= LOOK_EVERY)) {
    np_status status = look(counter);
    if (status != NP_OK) return status;
  }
  if (counter->front != NULL)
    return add_by_front(counter, base, starts, lengths, n, each);
  return np_table_add_batch(&counter->own, base, starts, lengths, n, each);
}

np_status np_counter_add(np_counter *counter, const char *key, uint32_t length,
                         uint64_t count) {
  if (np_unlikely(++counter->unseen >= LOOK_EVERY)) {
    np_status status = look(counter);
    if (status != NP_OK) return status;
  }
  if (counter->feeder != NULL)
    return np_table_feeder_add(counter->feeder, key, length, count);
  return np_table_add(&counter->own, key, length, count);
}

np_status np_counter_finish(np_counter *counter) {
  np_status status = NP_OK;
  np_shared_table *shared = atomic_load(&counter->counting->shared);
  np_entry entries[NP_FRONT_BATCH];
  uint32_t n = 0;
  while (counter->front != NULL &&
         (n = np_front_drain(counter->front, entries)) > 0) {
    status = add_entries(counter, entries, n);
    if (status != NP_OK) return status;
  }
  if (counter->feeder != NULL) {
    status = np_table_feeder_flush(counter->feeder);
    if (status != NP_OK) return status;
    np_table_feeder_close(counter->feeder);
    counter->feeder = NULL;
  }
  /* Here all workers pour at once; combining would do it one by one. */
  if (shared != NULL) status = np_shared_table_take(shared, &counter->own);
  show_size(counter);
  return status;
}

/* Without a shared table a step is a part of all own tables, else one whole
 * own table of a worker that finished before there was a shared one. */
np_status np_counting_combine_step(np_counting *counting) {
  np_shared_table *shared = atomic_load(&counting->shared);
  uint32_t steps = shared != NULL ? counting->workers : NP_TABLE_PARTS;
  uint32_t step = atomic_load(&counting->next_step);
  do {
    if (step >= steps) return NP_DONE;
  } while (
      !atomic_compare_exchange_weak(&counting->next_step, &step, step + 1));
  if (shared != NULL)
    return np_shared_table_take(shared, &counting->counters[step].own);
  for (uint32_t i = 1; i < counting->workers; i++) {
    np_status status = np_table_merge_part(&counting->counters[0].own,
                                           &counting->counters[i].own, step);
    if (status != NP_OK) return status;
  }
  return NP_OK;
}

static void move_part(np_counts *counts, np_table_part *part) {
  counts->distinct += part->used;
  counts->parts[counts->part_count++] = *part;
  np_table_part_init(part);
}

np_status np_counting_combine(np_counting *counting, np_counts **out) {
  np_status status;
  *out = NULL;
  while ((status = np_counting_combine_step(counting)) == NP_OK) continue;
  if (status != NP_DONE) return status;
  np_counts *counts = np_alloc_zero(sizeof *counts);
  if (counts == NULL) return NP_NOMEM;
  counts->seed = counting->seed;

  np_shared_table *shared = atomic_load(&counting->shared);
  if (shared != NULL) {
    for (uint32_t i = 0; i < NP_SHARED_PARTS; i++)
      move_part(counts, &shared->parts[i].part);
    np_arena_adopt(&counts->arena, &shared->arena);
  } else {
    np_table *first = &counting->counters[0].own;
    for (uint32_t i = 0; i < NP_TABLE_PARTS; i++)
      move_part(counts, &first->parts[i]);
    for (uint32_t i = 0; i < counting->workers; i++)
      np_arena_adopt(&counts->arena, &counting->counters[i].own.arena);
  }
  *out = counts;
  return NP_OK;
}

void np_counts_free(np_counts *counts) {
  if (counts == NULL) return;
  for (uint32_t i = 0; i < counts->part_count; i++)
    np_table_part_clear(&counts->parts[i]);
  np_arena_clear(&counts->arena);
  np_free(counts);
}

uint64_t np_counts_distinct(const np_counts *counts) {
  return counts->distinct;
}

uint64_t np_counts_bytes(const np_counts *counts) {
  uint64_t bytes =
      sizeof *counts + counts->arena.bytes + counts->arena.spare_bytes;
  for (uint32_t i = 0; i < counts->part_count; i++)
    bytes += (uint64_t)counts->parts[i].capacity * sizeof(np_entry);
  return bytes;
}

uint32_t np_counts_parts(const np_counts *counts) { return counts->part_count; }

static void show_entry(np_counts_item *out, const np_entry *entry) {
  out->key = np_entry_key(entry);
  out->length = np_entry_length(entry);
  out->count = entry->count;
}

bool np_counts_next(const np_counts *counts, np_counts_cursor *cursor,
                    np_counts_item *out) {
  for (; cursor->part < counts->part_count; cursor->part++) {
    const np_entry *entry =
        np_table_part_next(&counts->parts[cursor->part], &cursor->slot);
    if (entry != NULL) {
      show_entry(out, entry);
      return true;
    }
    cursor->slot = 0;
  }
  return false;
}

uint64_t np_counts_find(const np_counts *counts, const char *key,
                        uint32_t length) {
  np_entry wanted;
  np_entry_make_bare(&wanted, counts->seed, key, length, 0);
  const np_table_part *part = &counts->parts[wanted.hash % counts->part_count];
  const np_entry *found = np_table_part_find(part, &wanted);
  return found != NULL ? found->count : 0;
}

static bool is_better(const np_counts_item *a, const np_counts_item *b) {
  if (a->count != b->count) return a->count > b->count;
  uint32_t shorter = a->length < b->length ? a->length : b->length;
  int order = memcmp(a->key, b->key, shorter);
  return order != 0 ? order < 0 : a->length < b->length;
}

/* Puts `item` where it belongs below slot 0 of a heap with its worst on top. */
static void sift(np_counts_item *heap, uint32_t n, np_counts_item item) {
  uint32_t slot = 0, child;
  while ((child = 2 * slot + 1) < n) {
    if (child + 1 < n && is_better(&heap[child], &heap[child + 1])) child++;
    if (is_better(&heap[child], &item)) break;
    heap[slot] = heap[child];
    slot = child;
  }
  heap[slot] = item;
}

static void heap_add(np_counts_item *heap, uint32_t *n, np_counts_item item) {
  uint32_t slot = (*n)++;
  for (; slot > 0; slot = (slot - 1) / 2) {
    np_counts_item *parent = &heap[(slot - 1) / 2];
    if (!is_better(parent, &item)) break;
    heap[slot] = *parent;
  }
  heap[slot] = item;
}

void np_counts_top_parts(const np_counts *counts, uint32_t first, uint32_t end,
                         uint32_t k, np_counts_item *out, uint32_t *n) {
  *n = 0;
  if (k == 0) return;
  np_counts_cursor cursor = {.part = first};
  np_counts_item item;
  while (np_counts_next(counts, &cursor, &item) && cursor.part < end) {
    if (*n < k)
      heap_add(out, n, item);
    else if (item.count >= out[0].count && is_better(&item, &out[0]))
      sift(out, k, item);
  }
  for (uint32_t left = *n;
       left > 1;) { /* The worst of what is left goes last. */
    np_counts_item worst = out[0], last = out[--left];
    sift(out, left, last);
    out[left] = worst;
  }
}

void np_counts_top(const np_counts *counts, uint32_t k, np_counts_item *out,
                   uint32_t *n) {
  np_counts_top_parts(counts, 0, counts->part_count, k, out, n);
}

void np_counts_top_fold(np_counts_item *into, uint32_t *n, uint32_t k,
                        const np_counts_item *from, uint32_t m) {
  uint32_t ours = 0, theirs = 0;
  while (ours + theirs < k && (ours < *n || theirs < m)) {
    if (theirs == m || (ours < *n && is_better(&into[ours], &from[theirs])))
      ours++;
    else
      theirs++;
  }
  *n = ours + theirs;
  for (uint32_t at = *n; theirs > 0;) { /* From the back: in place. */
    if (ours > 0 && is_better(&from[theirs - 1], &into[ours - 1]))
      into[--at] = into[--ours];
    else
      into[--at] = from[--theirs];
  }
}

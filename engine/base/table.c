/* Counting is a chain of cache misses, so the batch is the unit: 32 keys are
 * made into entries and their home slots asked for before the first probe
 * (27 against 44 ns a word on a large table). */
#include "base/table.h"

#include <string.h>
#include "base/alloc.h"
#include "base/assert.h"
#include "base/entry.h"

#define BATCH 32u
/* How many entries before its own an entry's memory is asked for. */
#define SLOTS_AHEAD 24u
#define KEYS_AHEAD 8u
#define FIRST_CAPACITY 64u
/* Below 2 MiB slots are on small pages, where each fault costs: be quick. */
#define FAST_GROWTH (UINT32_C(1) << 16)

/* What a part without slots points to: always free, never written. */
static const np_entry no_slots[1];

void np_table_part_init(np_table_part *part) {
  *part =
      (np_table_part){.slots = (np_entry *)(uintptr_t)no_slots, .capacity = 1};
}

/* The C library aligns to 16 only, and an entry must not cross a cache line:
 * small blocks have two more, large ones are aligned to their pages. */
static size_t block_size(uint32_t capacity) {
  size_t size = (size_t)capacity * sizeof(np_entry);
  return size < (size_t)2 << 20 ? size + 2 * sizeof(np_entry) : size;
}

void np_table_part_clear(np_table_part *part) {
  if (part->block != NULL)
    np_free_huge(part->block, block_size(part->capacity));
  np_table_part_init(part);
}

/* The first slot of a cache line: the whole line is looked at before the next.
 * (The capacity is even but for a part without slots.) */
static inline uint32_t home(const np_table_part *part, uint32_t hash) {
  return (uint32_t)((uint64_t)hash * part->capacity >> 33) * 2;
}

static inline uint32_t next_slot(const np_table_part *part, uint32_t slot) {
  return ++slot == part->capacity ? 0 : slot;
}

static void copy_slots(np_table_part *into, const np_table_part *from) {
  for (uint32_t i = 0; i < from->capacity; i++) {
    if (from->slots[i].size == 0) continue;
    uint32_t slot = home(into, from->slots[i].hash);
    while (into->slots[slot].size != 0) slot = next_slot(into, slot);
    into->slots[slot] = from->slots[i];
  }
}

/* The old slots go to `arena`, if there is one: fresh pages are dear. */
static np_status set_capacity(np_table_part *part, np_arena *arena,
                              uint64_t capacity) {
  if (capacity > UINT32_C(1) << 31) return NP_NOMEM;
  np_table_part grown = {.capacity = (uint32_t)capacity, .used = part->used};
  grown.block = np_alloc_huge(block_size(grown.capacity));
  if (grown.block == NULL) return NP_NOMEM;
  uintptr_t base = (uintptr_t)grown.block;
  base += -base % (2 * sizeof(np_entry));
  grown.slots = (np_entry *)base;
  copy_slots(&grown, part);
  if (arena != NULL && part->block != NULL)
    np_arena_give(arena, part->block, block_size(part->capacity));
  else
    np_table_part_clear(part);
  *part = grown;
  return NP_OK;
}

static inline bool has_room(const np_table_part *part, uint64_t keys) {
  return keys * 4 <= (uint64_t)part->capacity * 3;
}

static np_status reserve(np_table_part *part, np_arena *arena, uint64_t keys) {
  if (has_room(part, keys)) return NP_OK;
  uint64_t capacity = FIRST_CAPACITY;
  if (part->capacity > capacity) capacity = part->capacity;
  while (keys * 4 > capacity * 3) capacity *= capacity < FAST_GROWTH ? 4 : 2;
  return set_capacity(part, arena, capacity);
}

np_status np_table_part_reserve(np_table_part *part, uint64_t keys) {
  return reserve(part, NULL, keys);
}

/* The slot of the key, or the free one where it would go. */
static inline np_entry *probe(const np_table_part *part,
                              const np_entry *entry) {
  uint32_t slot = home(part, entry->hash);
  while (part->slots[slot].size != 0 &&
         !np_entry_same(&part->slots[slot], entry))
    slot = next_slot(part, slot);
  return &part->slots[slot];
}

static np_status insert(np_table_part *part, np_arena *arena,
                        const np_entry *entry) {
  np_entry added = *entry;
  if (!has_room(part, (uint64_t)part->used + 1)) {
    np_status status = reserve(part, arena, (uint64_t)part->used + 1);
    if (status != NP_OK) return status;
  }
  if (np_entry_is_long(entry) && arena != NULL) {
    added.key.out.bytes =
        np_arena_copy(arena, entry->key.out.bytes, entry->size - 1);
    if (added.key.out.bytes == NULL) return NP_NOMEM;
  }
  *probe(part, entry) = added;
  part->used++;
  return NP_OK;
}

static inline np_status add(np_table_part *part, np_arena *arena,
                            const np_entry *entry) {
  np_entry *slot = probe(part, entry);
  if (np_unlikely(slot->size == 0)) return insert(part, arena, entry);
  slot->count += entry->count;
  return NP_OK;
}

np_status np_table_part_add(np_table_part *part, np_arena *arena,
                            const np_entry *entry) {
  return add(part, arena, entry);
}

static inline void prefetch_slot(const np_table_part *part,
                                 const np_entry *entry) {
  __builtin_prefetch(&part->slots[home(part, entry->hash)], 1);
}

/* A moment later: the bytes of a long key, if they stand in that slot. */
static inline void prefetch_key(const np_table_part *part,
                                const np_entry *entry) {
  const np_entry *slot = &part->slots[home(part, entry->hash)];
  bool there = np_entry_is_long(entry) & (slot->tag == entry->tag);
  __builtin_prefetch(there ? slot->key.out.bytes : (const char *)entry);
}

uint32_t np_table_part_add_all(np_table_part *part, np_arena *arena,
                               const np_entry *entries, uint32_t n) {
  for (uint32_t i = 0; i < n + SLOTS_AHEAD; i++) {
    if (i < n) prefetch_slot(part, &entries[i]);
    uint32_t key = i - (SLOTS_AHEAD - KEYS_AHEAD);
    if (key < n) prefetch_key(part, &entries[key]);
    uint32_t due = i - SLOTS_AHEAD;
    if (due < n && add(part, arena, &entries[due]) != NP_OK) return due;
  }
  return n;
}

const np_entry *np_table_part_find(const np_table_part *part,
                                   const np_entry *entry) {
  const np_entry *slot = probe(part, entry);
  return slot->size != 0 ? slot : NULL;
}

const np_entry *np_table_part_next(const np_table_part *part, uint32_t *slot) {
  for (; *slot < part->capacity; ++*slot)
    if (part->slots[*slot].size != 0) return &part->slots[(*slot)++];
  return NULL;
}

np_status np_table_part_merge(np_table_part *into, np_table_part *from) {
  if (into->used < from->used) { /* The smaller moves. */
    np_table_part larger = *from;
    *from = *into;
    *into = larger;
  }
  np_status status =
      np_table_part_reserve(into, (uint64_t)into->used + from->used);
  if (status != NP_OK) return status;
  uint32_t slot = 0;
  for (const np_entry *entry; (entry = np_table_part_next(from, &slot));)
    (void)add(into, NULL, entry); /* Cannot fail: there is room. */
  np_table_part_clear(from);
  return NP_OK;
}

void np_table_init(np_table *table, uint64_t seed) {
  *table = (np_table){.seed = seed};
  for (uint32_t i = 0; i < NP_TABLE_PARTS; i++)
    np_table_part_init(&table->parts[i]);
}

void np_table_clear(np_table *table) {
  for (uint32_t i = 0; i < NP_TABLE_PARTS; i++)
    np_table_part_clear(&table->parts[i]);
  np_arena_clear(&table->arena);
}

static inline np_table_part *part_of(np_table *table, uint32_t hash) {
  return &table->parts[hash % NP_TABLE_PARTS];
}

np_status np_table_add_entries(np_table *table, const np_entry *entries,
                               uint32_t n) {
  for (uint32_t at = 0; at < n; at += BATCH) {
    uint32_t end = n - at < BATCH ? n : at + BATCH;
    for (uint32_t i = at; i < end; i++)
      prefetch_slot(part_of(table, entries[i].hash), &entries[i]);
    for (uint32_t i = at; i < end; i++)
      prefetch_key(part_of(table, entries[i].hash), &entries[i]);
    for (uint32_t i = at; i < end; i++) {
      np_status status =
          add(part_of(table, entries[i].hash), &table->arena, &entries[i]);
      if (np_unlikely(status != NP_OK)) return status;
    }
  }
  return NP_OK;
}

np_status np_table_add_batch(np_table *table, const char *base,
                             const uint32_t *starts, const uint32_t *lengths,
                             uint32_t n, uint64_t each) {
  np_entry entries[BATCH];
  for (uint32_t at = 0; at < n; at += BATCH) {
    uint32_t count = n - at < BATCH ? n - at : BATCH;
    for (uint32_t i = 0; i < count; i++)
      np_entry_make(&entries[i], table->seed, base + starts[at + i],
                    lengths[at + i], each);
    np_status status = np_table_add_entries(table, entries, count);
    if (np_unlikely(status != NP_OK)) return status;
  }
  return NP_OK;
}

np_status np_table_add(np_table *table, const char *key, uint32_t length,
                       uint64_t count) {
  np_entry entry;
  np_entry_make_bare(&entry, table->seed, key, length, count);
  return add(part_of(table, entry.hash), &table->arena, &entry);
}

bool np_table_find(const np_table *table, const char *key, uint32_t length,
                   uint64_t *count) {
  np_entry wanted;
  *count = 0;
  np_entry_make_bare(&wanted, table->seed, key, length, 0);
  const np_entry *found =
      np_table_part_find(&table->parts[wanted.hash % NP_TABLE_PARTS], &wanted);
  if (found != NULL) *count = found->count;
  return found != NULL;
}

np_status np_table_merge_part(np_table *into, np_table *from, uint32_t part) {
  np_assert(part < NP_TABLE_PARTS && into->seed == from->seed);
  return np_table_part_merge(&into->parts[part], &from->parts[part]);
}

void np_table_adopt(np_table *into, np_table *from) {
  np_arena_adopt(&into->arena, &from->arena);
}

uint64_t np_table_keys(const np_table *table) {
  uint64_t keys = 0;
  for (uint32_t i = 0; i < NP_TABLE_PARTS; i++) keys += table->parts[i].used;
  return keys;
}

uint64_t np_table_bytes(const np_table *table) {
  uint64_t bytes = table->arena.bytes + table->arena.spare_bytes;
  for (uint32_t i = 0; i < NP_TABLE_PARTS; i++)
    bytes += (uint64_t)table->parts[i].capacity * sizeof(np_entry);
  return bytes;
}

/* A staged key is an np_entry already: 64 parts times 256 of 32 bytes is half
 * a megabyte, which stays in the second cache. */
#include "base/shared_table.h"

#include <string.h>
#include "base/alloc.h"
#include "base/entry.h"

/* Long keys are staged here; a longer one than a quarter goes in at once. */
#define TEXT_SIZE ((uint32_t)1 << 20)

struct np_table_feeder {
  np_entry staged[NP_SHARED_PARTS][NP_FEEDER_BATCH];
  uint32_t fill[NP_SHARED_PARTS];
  uint32_t text_used;
  np_shared_table *table;
  np_arena arena; /* of this feeder alone: no lock, and pages of its own */
  char text[TEXT_SIZE + NP_KEY_PADDING];
};

np_status np_shared_table_open(np_shared_table **out, uint64_t seed) {
  *out = NULL;
  np_shared_table *table = np_alloc_zero(sizeof *table);
  if (table == NULL) return NP_NOMEM;
  for (uint32_t i = 0; i < NP_SHARED_PARTS; i++) {
    np_lock_init(&table->parts[i].lock);
    np_table_part_init(&table->parts[i].part);
  }
  np_lock_init(&table->arena_lock);
  table->seed = seed;
  *out = table;
  return NP_OK;
}

void np_shared_table_free(np_shared_table *table) {
  if (table == NULL) return;
  for (uint32_t i = 0; i < NP_SHARED_PARTS; i++)
    np_table_part_clear(&table->parts[i].part);
  np_arena_clear(&table->arena);
  np_free(table);
}

np_status np_table_feeder_open(np_table_feeder **out, np_shared_table *table) {
  *out = NULL;
  np_table_feeder *feeder = np_alloc_huge(sizeof *feeder);
  if (feeder == NULL) return NP_NOMEM;
  feeder->table = table;
  *out = feeder;
  return NP_OK;
}

void np_table_feeder_close(np_table_feeder *feeder) {
  if (feeder == NULL) return;
  np_lock_take(&feeder->table->arena_lock);
  np_arena_adopt(&feeder->table->arena, &feeder->arena);
  np_lock_leave(&feeder->table->arena_lock);
  np_free_huge(feeder, sizeof *feeder);
}

static np_status flush_part(np_table_feeder *feeder, uint32_t index) {
  np_shared_part *part = &feeder->table->parts[index];
  np_entry *entries = feeder->staged[index];
  uint32_t count = feeder->fill[index];
  np_lock_take(&part->lock);
  uint32_t done =
      np_table_part_add_all(&part->part, &feeder->arena, entries, count);
  np_lock_leave(&part->lock);
  feeder->fill[index] = count - done;
  if (done == count) return NP_OK;
  memmove(entries, entries + done, (count - done) * sizeof *entries);
  return NP_NOMEM;
}

np_status np_table_feeder_flush(np_table_feeder *feeder) {
  for (uint32_t i = 0; i < NP_SHARED_PARTS; i++) {
    if (feeder->fill[i] == 0) continue;
    np_status status = flush_part(feeder, i);
    if (status != NP_OK) return status;
  }
  feeder->text_used = 0;
  return NP_OK;
}

static np_status add_now(np_table_feeder *feeder, const np_entry *entry) {
  np_shared_part *part = &feeder->table->parts[entry->hash % NP_SHARED_PARTS];
  np_lock_take(&part->lock);
  np_status status = np_table_part_add(&part->part, &feeder->arena, entry);
  np_lock_leave(&part->lock);
  return status;
}

/* Copies the bytes of a long key, padding behind it, to the staging text. */
static np_status stage_text(np_table_feeder *feeder, np_entry *entry) {
  uint32_t length = entry->size - 1;
  if (TEXT_SIZE - feeder->text_used < length) {
    np_status status = np_table_feeder_flush(feeder);
    if (status != NP_OK) return status;
  }
  char *copy = feeder->text + feeder->text_used;
  for (uint32_t at = 0; at < length; at += NP_KEY_PADDING) /* No call. */
    memcpy(copy + at, entry->key.out.bytes + at, NP_KEY_PADDING);
  entry->key.out.bytes = copy;
  feeder->text_used += length;
  return NP_OK;
}

static inline np_status stage(np_table_feeder *feeder, np_entry *entry) {
  if (np_unlikely(np_entry_is_long(entry))) {
    if (entry->size > TEXT_SIZE / 4) return add_now(feeder, entry);
    np_status status = stage_text(feeder, entry);
    if (status != NP_OK) return status;
  }
  uint32_t index = entry->hash % NP_SHARED_PARTS;
  if (np_unlikely(feeder->fill[index] == NP_FEEDER_BATCH)) {
    np_status status = flush_part(feeder, index);
    if (status != NP_OK) return status;
  }
  feeder->staged[index][feeder->fill[index]++] = *entry;
  return NP_OK;
}

np_status np_table_feeder_add_batch(np_table_feeder *feeder, const char *base,
                                    const uint32_t *starts,
                                    const uint32_t *lengths, uint32_t n,
                                    uint64_t each) {
  np_entry entry;
  for (uint32_t i = 0; i < n; i++) {
    np_entry_make(&entry, feeder->table->seed, base + starts[i], lengths[i],
                  each);
    np_status status = stage(feeder, &entry);
    if (np_unlikely(status != NP_OK)) return status;
  }
  return NP_OK;
}

np_status np_table_feeder_add_entries(np_table_feeder *feeder,
                                      const np_entry *entries, uint32_t n) {
  for (uint32_t i = 0; i < n; i++) {
    np_entry entry = entries[i];
    np_status status = stage(feeder, &entry);
    if (np_unlikely(status != NP_OK)) return status;
  }
  return NP_OK;
}

np_status np_table_feeder_add(np_table_feeder *feeder, const char *key,
                              uint32_t length, uint64_t count) {
  np_entry entry;
  np_entry_make_bare(&entry, feeder->table->seed, key, length, count);
  return np_entry_is_long(&entry) ? add_now(feeder, &entry)
                                  : stage(feeder, &entry);
}

/* Moves the entries of `from` that belong to shared part `index`. */
static np_status take_part(np_shared_table *table, uint32_t index,
                           np_table_part *from) {
  np_shared_part *part = &table->parts[index];
  uint32_t count = 0, slot = 0;
  for (const np_entry *entry; (entry = np_table_part_next(from, &slot));)
    count += entry->hash % NP_SHARED_PARTS == index;
  np_lock_take(&part->lock);
  np_status status =
      np_table_part_reserve(&part->part, (uint64_t)part->part.used + count);
  for (uint32_t i = 0; status == NP_OK && i < from->capacity; i++) {
    np_entry *entry = &from->slots[i];
    if (entry->size == 0 || entry->hash % NP_SHARED_PARTS != index) continue;
    status = np_table_part_add(&part->part, NULL, entry);
    np_assert(status == NP_OK);
    entry->size = 0; /* Moved: a second try must not count it again. */
    from->used--;
  }
  np_lock_leave(&part->lock);
  return status;
}

np_status np_shared_table_take(np_shared_table *table, np_table *from) {
  np_assert(table->seed == from->seed);
  /* First, so that no shared entry ever points into `from`. */
  np_lock_take(&table->arena_lock);
  np_arena_adopt(&table->arena, &from->arena);
  np_lock_leave(&table->arena_lock);
  for (uint32_t i = 0; i < NP_SHARED_PARTS; i++) {
    np_table_part *part = &from->parts[i % NP_TABLE_PARTS];
    np_status status = take_part(table, i, part);
    if (status != NP_OK) return status;
    if (part->used == 0) np_table_part_clear(part);
  }
  return NP_OK;
}

uint64_t np_table_feeder_bytes(const np_table_feeder *feeder) {
  return sizeof *feeder + feeder->arena.bytes + feeder->arena.spare_bytes;
}

uint64_t np_shared_table_keys(np_shared_table *table) {
  uint64_t keys = 0;
  for (uint32_t i = 0; i < NP_SHARED_PARTS; i++) {
    np_lock_take(&table->parts[i].lock);
    keys += table->parts[i].part.used;
    np_lock_leave(&table->parts[i].lock);
  }
  return keys;
}

uint64_t np_shared_table_bytes(np_shared_table *table) {
  uint64_t bytes = sizeof *table;
  for (uint32_t i = 0; i < NP_SHARED_PARTS; i++) {
    np_lock_take(&table->parts[i].lock);
    bytes += (uint64_t)table->parts[i].part.capacity * sizeof(np_entry);
    np_lock_leave(&table->parts[i].lock);
  }
  np_lock_take(&table->arena_lock);
  bytes += table->arena.bytes + table->arena.spare_bytes;
  np_lock_leave(&table->arena_lock);
  return bytes;
}

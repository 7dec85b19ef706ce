/* table.h - counts by key, where keys are bytes: the own table of one worker.
 * One thread at a time, except that different parts of a table may be merged
 * by different threads at once.
 * Invariants: a key stands in part `hash % NP_TABLE_PARTS`; the home slot of a
 * part is monotone in the hash, so growing and merging run through memory in
 * order; a part is at most 3/4 full. Keys of up to 16 bytes lie in the slot,
 * longer ones in the arena, where they never move. */
#ifndef NP_BASE_TABLE_H
#define NP_BASE_TABLE_H
#include <stdbool.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/status.h"

#define NP_TABLE_PARTS 16
#define NP_KEY_INLINE 16
#define NP_KEY_MAX UINT32_C(0x7ffffff0)
#define NP_KEY_PADDING NP_ARENA_PADDING /* readable behind keys in a batch */

/* 32 bytes, two in a cache line. */
typedef struct np_entry {
  union {
    uint64_t words[2]; /* the key, filled up with zeros */
    struct {
      const char *bytes; /* in an arena; NP_KEY_PADDING readable behind it */
      uint64_t check;    /* 64 more hash bits */
    } out;
  } key;
  uint64_t count;
  union {
    struct {
      uint32_t hash;
      uint32_t size; /* length + 1; 0: the slot is free */
    };
    uint64_t tag; /* both: written and compared at once (else stores stall) */
  };
} np_entry;

typedef struct np_table_part {
  np_entry *slots; /* aligned to an entry; never NULL once initialised */
  void *block;     /* what to free; NULL while the part has no slots */
  uint32_t capacity, used;
} np_table_part;

typedef struct np_table {
  np_table_part parts[NP_TABLE_PARTS];
  np_arena arena;
  uint64_t seed;
} np_table;

/* No allocation. Tables that are to be merged need the same seed. */
void np_table_init(np_table *table, uint64_t seed);
void np_table_clear(np_table *table); /* Frees all; the table is as new. */

/* Adds `each` to the count of n keys; key i is base[starts[i]] .. of
 * lengths[i] bytes, with NP_KEY_PADDING readable bytes behind it. Equal keys
 * in one batch are fine; n may be 0. On NP_NOMEM a first part of the batch is
 * counted and the table is sound: free it, or go on at your own risk. */
np_status np_table_add_batch(np_table *table, const char *base,
                             const uint32_t *starts, const uint32_t *lengths,
                             uint32_t n, uint64_t each);
/* One key; needs no padding. On NP_NOMEM nothing changed. */
np_status np_table_add(np_table *table, const char *key, uint32_t length,
                       uint64_t count);
/* False, and *count 0, when the key is not there. Needs no padding. */
bool np_table_find(const np_table *table, const char *key, uint32_t length,
                   uint64_t *count);

/* Moves part `part` of `from` into that of `into`. The long keys stay in the
 * arena of `from`: call np_table_adopt when all parts are moved, or keep it
 * for as long as `into`. Threads may move different parts at once. On NP_NOMEM
 * nothing changed. */
np_status np_table_merge_part(np_table *into, np_table *from, uint32_t part);
/* Moves the arena of `from` to `into`. */
void np_table_adopt(np_table *into, np_table *from);

uint64_t np_table_keys(const np_table *table);
/* Memory held: slots and arena. A few loads: fine to ask once a chunk. */
uint64_t np_table_bytes(const np_table *table);

static inline const char *np_entry_key(const np_entry *entry) {
  return entry->size > NP_KEY_INLINE + 1 ? entry->key.out.bytes
                                         : (const char *)entry->key.words;
}
static inline uint32_t np_entry_length(const np_entry *entry) {
  return entry->size - 1;
}

/* The next used slot of a part at or after *slot, which is moved behind it;
 * NULL at the end. Start with *slot = 0. */
const np_entry *np_table_part_next(const np_table_part *part, uint32_t *slot);

/* As np_table_add_batch, for keys that are entries already. On NP_NOMEM a first
 * part is in. */
np_status np_table_add_entries(np_table *table, const np_entry *entries,
                               uint32_t n);

/* The rest is for shared_table.c and counter.c. */

void np_table_part_init(np_table_part *part);
void np_table_part_clear(np_table_part *part);
/* Adds the count of `entry`, whose hash must belong to this part. A long key
 * that is new is copied to `arena`, which also gets slots that were outgrown;
 * with NULL it stays where it is. On NP_NOMEM nothing changed. */
np_status np_table_part_add(np_table_part *part, np_arena *arena,
                            const np_entry *entry);
/* The same for n entries of this part, with their cache lines asked for ahead.
 * Returns how many went in: n, or those before the one that found no memory. */
uint32_t np_table_part_add_all(np_table_part *part, np_arena *arena,
                               const np_entry *entries, uint32_t n);
/* Room for `keys` keys in all. On NP_NOMEM nothing changed. Call it before
 * adding the entries of another part in their order: they come by rising hash
 * and would pile up at the front of a part that has yet to grow. */
np_status np_table_part_reserve(np_table_part *part, uint64_t keys);
/* NULL when it is not there. */
const np_entry *np_table_part_find(const np_table_part *part,
                                   const np_entry *entry);
/* Moves all of `from` (same seed) into `into`; `from` is then as new. On
 * NP_NOMEM nothing changed. */
np_status np_table_part_merge(np_table_part *into, np_table_part *from);

#endif

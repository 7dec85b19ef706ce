/* shared_table.h - one table of counts for many workers: 64 parts, a lock
 * each. A worker stages keys in its own feeder and takes a part's lock once for
 * 256 of them. For when the keys are too many for a table a worker: each key
 * is held once, but every item costs a 32-byte record. */
#ifndef NP_BASE_SHARED_TABLE_H
#define NP_BASE_SHARED_TABLE_H
#include "base/lock.h"
#include "base/table.h"

#define NP_SHARED_PARTS 64
#define NP_FEEDER_BATCH 256

typedef struct np_shared_part {
  np_lock lock; /* guards `part` */
  np_table_part part;
  char apart[64]; /* Two parts never share a cache line. */
} np_shared_part;

typedef struct np_shared_table {
  np_shared_part parts[NP_SHARED_PARTS];
  np_lock arena_lock; /* guards `arena`: where closed feeders leave theirs */
  np_arena arena;
  uint64_t seed;
} np_shared_table;

/* What one worker has staged, and the arena of the long keys it was first to
 * bring. One thread at a time. */
typedef struct np_table_feeder np_table_feeder;

np_status np_shared_table_open(np_shared_table **out, uint64_t seed);
/* Every feeder must be closed. NULL is fine. */
void np_shared_table_free(np_shared_table *table);

np_status np_table_feeder_open(np_table_feeder **out, np_shared_table *table);
/* As np_table_add_batch; NP_NOMEM may hit what was staged before. The bytes
 * are copied: the caller may reuse them at once. */
np_status np_table_feeder_add_batch(np_table_feeder *feeder, const char *base,
                                    const uint32_t *starts,
                                    const uint32_t *lengths, uint32_t n,
                                    uint64_t each);
np_status np_table_feeder_add_entries(np_table_feeder *feeder,
                                      const np_entry *entries, uint32_t n);
np_status np_table_feeder_add(np_table_feeder *feeder, const char *key,
                              uint32_t length, uint64_t count);
/* Staged keys become visible. NP_NOMEM: some are still staged; call again. */
np_status np_table_feeder_flush(np_table_feeder *feeder);
/* Drops what is still staged; its arena goes to the table. NULL is fine. */
void np_table_feeder_close(np_table_feeder *feeder);
uint64_t np_table_feeder_bytes(const np_table_feeder *feeder);

/* Any thread. Moves a whole own table (same seed) into the shared one; `from`
 * is then as new. On NP_NOMEM nothing is lost: call again. */
np_status np_shared_table_take(np_shared_table *table, np_table *from);
uint64_t np_shared_table_keys(np_shared_table *table);  /* Any thread. */
uint64_t np_shared_table_bytes(np_shared_table *table); /* Any thread. */

#endif

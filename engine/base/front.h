/* front.h - counts of the keys that are frequent right now, small enough for a
 * CPU's second cache. It stands before a table that is not: most items of real
 * text end here. What a new key drives out goes on to the table with the count
 * it has. One thread at a time. */
#ifndef NP_BASE_FRONT_H
#define NP_BASE_FRONT_H
#include "base/table.h"

#define NP_FRONT_SLOTS 16384u /* 512 KiB, in pairs of a cache line */
#define NP_FRONT_BATCH 128u   /* most keys of one np_front_add */

typedef struct np_front np_front;

np_status np_front_open(np_front **out, uint64_t seed);
void np_front_free(np_front *front); /* NULL is fine. */

/* Adds n <= NP_FRONT_BATCH keys, as for np_table_add_batch. Writes to `out`
 * (room for n) what must go to the table and returns how many. Long keys always
 * do: their entries point to the key's bytes. */
uint32_t np_front_add(np_front *front, const char *base, const uint32_t *starts,
                      const uint32_t *lengths, uint32_t n, uint64_t each,
                      np_entry *out);
/* Takes out up to NP_FRONT_BATCH entries; 0: the front is empty. */
uint32_t np_front_drain(np_front *front, np_entry *out);

#endif

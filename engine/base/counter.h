/* counter.h - counts by key on many workers: count_by, native.
 * An np_counting belongs to one run of the operator; worker i uses counter i.
 * A counter starts with a table of its own, and puts a front (front.h) before
 * it once that is too large for the CPU's cache. When it passes
 * NP_COUNTER_HAND_OVER it is poured into one shared table, and the worker feeds
 * that from then on. At the end the parts are combined into an np_counts.
 *
 *   open -> (per worker) add_batch ... -> finish -> combine -> np_counts
 */
#ifndef NP_BASE_COUNTER_H
#define NP_BASE_COUNTER_H
#include <stdbool.h>
#include <stdint.h>
#include "base/shared_table.h"
#include "base/table.h"

/* Measured with two workers on a loaded machine (+-15 %), CPU seconds of words:
 * whole Linux tree, 12 M keys, medians of 4: 4 and 16 MiB 8.3 and 8.5, 256 MiB
 * 9.2, never 10.8 and 1.6 GB of memory instead of 0.77. drivers/net, 1.8 M
 * keys, best of 7: 4, 16 and 64 MiB 0.88, 0.92, 1.05; never 0.73. Letters, 0.4
 * M keys: no difference. So small is right for many keys and for memory, and
 * costs a fifth around two million. */
#define NP_COUNTER_HAND_OVER (UINT64_C(16) << 20)

typedef struct np_counting np_counting; /* one for all workers */
typedef struct np_counter np_counter;   /* one for each worker */
typedef struct np_counts np_counts;     /* the result: read only */

/* `seed` spreads keys over slots; any value. */
np_status np_counting_open(np_counting **out, uint32_t workers, uint64_t seed);
/* Also while counting has not finished (a cancel): no thread may be inside.
 * NULL is fine. */
void np_counting_free(np_counting *counting);
/* Before the first add: another size than NP_COUNTER_HAND_OVER. */
void np_counting_hand_over_at(np_counting *counting, uint64_t bytes);
np_counter *np_counting_counter(np_counting *counting, uint32_t worker);
/* Memory held, and keys known so far (a key that several workers know may
 * count once for each). Any thread; figures of a moment ago. */
uint64_t np_counting_bytes(np_counting *counting);
uint64_t np_counting_keys(np_counting *counting);

/* One thread at a time for each counter. Keys as for np_table_add_batch (32
 * readable bytes behind each); the bytes may be reused at once. After NP_NOMEM
 * the run cannot be trusted: free the counting. */
np_status np_counter_add_batch(np_counter *counter, const char *base,
                               const uint32_t *starts, const uint32_t *lengths,
                               uint32_t n, uint64_t each);
np_status np_counter_add(np_counter *counter, const char *key, uint32_t length,
                         uint64_t count); /* No padding needed. */
/* Everything the counter holds becomes visible to combine. Its worker calls
 * it last. */
np_status np_counter_finish(np_counter *counter);

/* After every finish, seen by the caller: combines all parts on this thread
 * and moves the result to *out. The counting is left empty; free it. */
np_status np_counting_combine(np_counting *counting, np_counts **out);
/* Or on many threads: each calls combine_step until it answers NP_DONE (NP_OK:
 * a part was done, more may be left). When all of them have got NP_DONE, one
 * calls np_counting_combine, which finds nothing left to merge. */
np_status np_counting_combine_step(np_counting *counting);

typedef struct np_counts_item {
  const char *key; /* lives as long as the np_counts; 32 readable behind it */
  uint32_t length;
  uint64_t count;
} np_counts_item;

/* Where an iteration stands: zero-initialised is the start of part 0. */
typedef struct np_counts_cursor {
  uint32_t part, slot;
} np_counts_cursor;

/* Any number of threads may read one np_counts at once. */
uint64_t np_counts_distinct(const np_counts *counts);
uint64_t np_counts_bytes(const np_counts *counts);
/* Each key once, in no order that means anything. False at the end. */
bool np_counts_next(const np_counts *counts, np_counts_cursor *cursor,
                    np_counts_item *out);
/* To let several threads iterate: parts are 0 .. parts - 1; a thread sets
 * cursor.part, and stops when np_counts_next has moved it past its last. */
uint32_t np_counts_parts(const np_counts *counts);
/* The k largest counts, best first; ties: the smaller key by memcmp, the
 * shorter one if it is a prefix. *n = min(k, distinct). `out` holds k. */
void np_counts_top(const np_counts *counts, uint32_t k, np_counts_item *out,
                   uint32_t *n);
/* The same for parts first .. end - 1, so that threads can share the work; the
 * second folds the sorted list of m items into that of *n (which has room for
 * k) and keeps the k best. */
void np_counts_top_parts(const np_counts *counts, uint32_t first, uint32_t end,
                         uint32_t k, np_counts_item *out, uint32_t *n);
void np_counts_top_fold(np_counts_item *into, uint32_t *n, uint32_t k,
                        const np_counts_item *from, uint32_t m);
/* 0 when the key is not there. No padding needed. */
uint64_t np_counts_find(const np_counts *counts, const char *key,
                        uint32_t length);
void np_counts_free(np_counts *counts); /* NULL is fine. */

#endif

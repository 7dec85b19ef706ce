/* cell.h - an atomic 64-bit integer that tasks on all workers share.
 * Any thread. Every operation is sequentially consistent, as Go's atomics are:
 * scripts reason about them as about a lock. Arithmetic wraps. */
#ifndef NP_SYNC_CELL_H
#define NP_SYNC_CELL_H
#include "base/object.h"

typedef struct np_cell {
  np_object object;
  _Atomic int64_t value;
} np_cell;

/* NULL when there is no memory. */
np_cell *np_cell_open(int64_t value);

/* Sets it to the smaller (larger) of itself and `value`; returns the new. */
int64_t np_cell_min(np_cell *cell, int64_t value);
int64_t np_cell_max(np_cell *cell, int64_t value);

#endif

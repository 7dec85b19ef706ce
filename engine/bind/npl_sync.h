/* npl_sync.h - the sync objects as Lua calls them. Atomics take and give
 * doubles where numbers are exact to 2^53, and int64 in the *64 forms. */
#ifndef NP_BIND_NPL_SYNC_H
#define NP_BIND_NPL_SYNC_H
#include "sync/cell.h"

#pragma GCC visibility push(default)
/* cdef:begin */
typedef struct np_cell np_cell;
np_cell *npl_cell_open(int64_t value);
double npl_cell_load(np_cell *cell);
int64_t npl_cell_load64(np_cell *cell);
void npl_cell_store(np_cell *cell, int64_t value);
double npl_cell_add(np_cell *cell, int64_t value);
double npl_cell_swap(np_cell *cell, int64_t value);
bool npl_cell_cas(np_cell *cell, int64_t old, int64_t value);
double npl_cell_min(np_cell *cell, int64_t value);
double npl_cell_max(np_cell *cell, int64_t value);
double npl_cell_band(np_cell *cell, int64_t value);
double npl_cell_bor(np_cell *cell, int64_t value);
/* cdef:end */
#pragma GCC visibility pop

#endif

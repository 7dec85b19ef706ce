#include "bind/npl_sync.h"

np_cell *npl_cell_open(int64_t value) { return np_cell_open(value); }

double npl_cell_load(np_cell *cell) {
  return (double)atomic_load(&cell->value);
}

int64_t npl_cell_load64(np_cell *cell) { return atomic_load(&cell->value); }

void npl_cell_store(np_cell *cell, int64_t value) {
  atomic_store(&cell->value, value);
}

double npl_cell_add(np_cell *cell, int64_t value) {
  /* Unsigned: the sum wraps instead of being undefined. */
  int64_t old = atomic_fetch_add(&cell->value, value);
  return (double)(int64_t)((uint64_t)old + (uint64_t)value);
}

double npl_cell_swap(np_cell *cell, int64_t value) {
  return (double)atomic_exchange(&cell->value, value);
}

bool npl_cell_cas(np_cell *cell, int64_t old, int64_t value) {
  return atomic_compare_exchange_strong(&cell->value, &old, value);
}

double npl_cell_min(np_cell *cell, int64_t value) {
  return (double)np_cell_min(cell, value);
}

double npl_cell_max(np_cell *cell, int64_t value) {
  return (double)np_cell_max(cell, value);
}

double npl_cell_band(np_cell *cell, int64_t value) {
  return (double)atomic_fetch_and(&cell->value, value);
}

double npl_cell_bor(np_cell *cell, int64_t value) {
  return (double)atomic_fetch_or(&cell->value, value);
}

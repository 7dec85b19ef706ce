#include "sync/cell.h"

#include "base/alloc.h"

static void cell_free(np_object *object) {
  if (np_object_orphan(object)) return;
  np_free(np_container_of(object, np_cell, object));
}

static const np_object_kind cell_kind = {"atomic", 5, cell_free, NULL};

np_cell *np_cell_open(int64_t value) {
  np_cell *cell = np_alloc_zero(sizeof *cell);
  if (cell == NULL) return NULL;
  np_object_init(&cell->object, &cell_kind);
  atomic_init(&cell->value, value);
  return cell;
}

int64_t np_cell_min(np_cell *cell, int64_t value) {
  int64_t seen = atomic_load(&cell->value);
  while (value < seen &&
         !atomic_compare_exchange_weak(&cell->value, &seen, value)) {
  }
  return value < seen ? value : seen;
}

int64_t np_cell_max(np_cell *cell, int64_t value) {
  int64_t seen = atomic_load(&cell->value);
  while (value > seen &&
         !atomic_compare_exchange_weak(&cell->value, &seen, value)) {
  }
  return value > seen ? value : seen;
}

#include "base/alloc.h"
#include "bind/npl_core.h"

/* Handles that Lua objects of this worker stand for, by a small number. Lua
 * keeps the objects in a weak array under the same numbers and gives up those
 * whose object has gone: a finalizer for each would cost more than the handle.
 */

static bool make_room(np_kept *kept) {
  if (kept->free_count != 0 || kept->high < kept->capacity) return true;
  uint32_t capacity = kept->capacity != 0 ? kept->capacity * 2 : 64;
  np_object **objects =
      np_realloc(kept->objects, capacity * sizeof(np_object *));
  if (objects == NULL) return false;
  kept->objects = objects;
  uint32_t *free_ids = np_realloc(kept->free_ids, capacity * sizeof *free_ids);
  if (free_ids == NULL) return false;
  kept->free_ids = free_ids;
  kept->capacity = capacity;
  return true;
}

/* Takes over a reference; its number, or NP_NO_SLOT when there is no memory
 * (and then the reference is given back). */
uint32_t npl_keep(np_front *w, np_object *object) {
  np_kept *kept = &npl_worker(w)->kept;
  if (!make_room(kept)) {
    np_object_release(object);
    return NP_NO_SLOT;
  }
  uint32_t id =
      kept->free_count != 0 ? kept->free_ids[--kept->free_count] : kept->high++;
  kept->objects[id] = object;
  return id;
}

void npl_unkeep(np_front *w, uint32_t id) {
  np_kept *kept = &npl_worker(w)->kept;
  np_object *object = kept->objects[id];
  if (object == NULL) return;
  kept->objects[id] = NULL;
  kept->free_ids[kept->free_count++] = id; /* Room was made with the id. */
  np_object_release(object);
}

uint32_t npl_kept_high(np_front *w) { return npl_worker(w)->kept.high; }

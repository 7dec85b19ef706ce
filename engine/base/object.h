/* object.h - the header of everything that can be waited for or shared.
 * Counted references from any thread; the last one frees through the kind.
 * The lock guards the wait list and whatever the kind says it guards. An
 * object whose last reference goes while a task still waits on it stays until
 * that wait leaves (the waiter holds no reference of its own: taking one at
 * each park would cost more than the park).
 * Lock order: objects in address order where more than one is held (select,
 * np_task_adopt); a timer heap's lock is innermost. */
#ifndef NP_BASE_OBJECT_H
#define NP_BASE_OBJECT_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/lock.h"

typedef struct np_object np_object;

typedef struct np_object_kind {
  const char *name;
  uint32_t number; /* how Lua tells handles apart; see bind */
  void (*free)(np_object *object);
  /* For select, under the lock: NP_AGAIN, or the code of a wait on it. NULL
   * for channels, which select knows. */
  int32_t (*ready)(np_object *object);
} np_object_kind;

struct np_object {
  np_lock lock;
  _Atomic uint32_t refs;
  const np_object_kind *kind;
  np_list waits; /* np_wait.link, oldest first; guarded by lock */
  /* Waits whose owner, and nobody who won its claim, has yet to take them out;
   * guarded by lock. */
  uint32_t enlisted;
  bool orphaned; /* the last reference went while somebody waited */
};

static inline void np_object_init(np_object *object,
                                  const np_object_kind *kind) {
  np_lock_init(&object->lock);
  atomic_init(&object->refs, 1);
  object->kind = kind;
  np_list_init(&object->waits);
  object->enlisted = 0;
  object->orphaned = false;
}

/* Relaxed: whoever hands us the pointer holds a reference already. */
static inline void np_object_retain(np_object *object) {
  atomic_fetch_add_explicit(&object->refs, 1, memory_order_relaxed);
}

/* A reference from a pointer that may be dying; false if it is. */
static inline bool np_object_try_retain(np_object *object) {
  uint32_t seen = atomic_load_explicit(&object->refs, memory_order_relaxed);
  while (seen != 0) {
    if (atomic_compare_exchange_weak_explicit(&object->refs, &seen, seen + 1,
                                              memory_order_relaxed,
                                              memory_order_relaxed))
      return true;
  }
  return false;
}

/* Any thread. Release on the way down, acquire for the last: the freeing
 * thread sees all that others did to the object. */
static inline void np_object_release(np_object *object) {
  if (object == NULL) return;
  if (atomic_fetch_sub_explicit(&object->refs, 1, memory_order_acq_rel) == 1)
    object->kind->free(object);
}

/* For a kind's `free`: true when it must leave the object to the last wait. */
static inline bool np_object_orphan(np_object *object) {
  np_lock_take(&object->lock);
  bool waited_on = object->enlisted != 0;
  object->orphaned = waited_on;
  np_lock_leave(&object->lock);
  return waited_on;
}

#endif

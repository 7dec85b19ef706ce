#include "csp/timer.h"

#include "base/alloc.h"
#include "base/assert.h"

#define ARITY 4

void np_timers_init(np_timers *timers, bool is_virtual, int64_t now) {
  *timers = (np_timers){.is_virtual = is_virtual, .now = now};
  np_lock_init(&timers->lock);
}

/* With the lock held, as the last thing that is done to the timer. */
static void forget(np_timer *timer) {
  timer->position = 0;
  atomic_store_explicit(&timer->heap, NULL, memory_order_release);
}

void np_timers_free(np_timers *timers) {
  np_lock_take(&timers->lock);
  for (uint32_t i = 0; i < timers->count; i++) forget(timers->entries[i].timer);
  timers->count = 0;
  np_free(timers->entries);
  timers->entries = NULL;
  timers->capacity = 0;
  np_lock_leave(&timers->lock);
}

static bool before(const np_timer_entry *a, const np_timer_entry *b) {
  return a->when != b->when ? a->when < b->when : a->order < b->order;
}

static void place(np_timers *timers, uint32_t at, np_timer_entry entry) {
  timers->entries[at] = entry;
  entry.timer->position = at + 1;
}

static void sift_up(np_timers *timers, uint32_t at, np_timer_entry entry) {
  while (at > 0) {
    uint32_t parent = (at - 1) / ARITY;
    if (!before(&entry, &timers->entries[parent])) break;
    place(timers, at, timers->entries[parent]);
    at = parent;
  }
  place(timers, at, entry);
}

static void sift_down(np_timers *timers, uint32_t at, np_timer_entry entry) {
  for (;;) {
    uint32_t first = at * ARITY + 1, least = first;
    if (first >= timers->count) break;
    uint32_t last =
        first + ARITY < timers->count ? first + ARITY : timers->count;
    for (uint32_t child = first + 1; child < last; child++)
      if (before(&timers->entries[child], &timers->entries[least]))
        least = child;
    if (!before(&timers->entries[least], &entry)) break;
    place(timers, at, timers->entries[least]);
    at = least;
  }
  place(timers, at, entry);
}

/* With the lock held. */
static void take_out(np_timers *timers, np_timer *timer) {
  uint32_t at = timer->position - 1;
  np_assert(timers->entries[at].timer == timer);
  timer->position = 0;
  np_timer_entry last = timers->entries[--timers->count];
  if (at == timers->count) return;
  if (at > 0 && before(&last, &timers->entries[(at - 1) / ARITY]))
    sift_up(timers, at, last);
  else
    sift_down(timers, at, last);
}

static np_status make_room(np_timers *timers) {
  if (timers->count < timers->capacity) return NP_OK;
  uint32_t capacity = timers->capacity != 0 ? timers->capacity * 2 : 16;
  np_timer_entry *entries =
      np_realloc(timers->entries, capacity * sizeof *entries);
  if (entries == NULL) return NP_NOMEM;
  timers->entries = entries;
  timers->capacity = capacity;
  return NP_OK;
}

np_status np_timer_arm(np_timers *timers, np_timer *timer, int64_t when) {
  np_timer_disarm(timer);
  if (when == NP_NEVER) return NP_OK; /* Never due: nothing to keep. */
  np_lock_take(&timers->lock);
  np_status status = make_room(timers);
  if (status == NP_OK) {
    atomic_store_explicit(&timer->heap, timers, memory_order_release);
    uint64_t order = timers->next_order++;
    if (timers->random != NULL)
      order |= (uint64_t)np_random_next(timers->random) << 32;
    sift_up(timers, timers->count++,
            (np_timer_entry){.when = when, .order = order, .timer = timer});
    if (np_unlikely(timers->alarm != NULL) && timer->position == 1)
      np_alarm_set(timers->alarm, when);
  }
  np_lock_leave(&timers->lock);
  return status;
}

bool np_timer_disarm(np_timer *timer) {
  np_timers *timers = atomic_load_explicit(&timer->heap, memory_order_acquire);
  if (timers == NULL) return false;
  np_lock_take(&timers->lock);
  bool armed = timer->position != 0;
  if (armed) {
    take_out(timers, timer);
    forget(timer);
  }
  np_lock_leave(&timers->lock);
  return armed;
}

int64_t np_timers_next(np_timers *timers) {
  np_lock_take(&timers->lock);
  int64_t when = timers->count != 0 ? timers->entries[0].when : NP_NEVER;
  np_lock_leave(&timers->lock);
  return when;
}

uint32_t np_timers_fire(np_timers *timers, np_waker *me, int64_t now) {
  uint32_t fired = 0;
  for (;;) {
    np_lock_take(&timers->lock);
    if (timers->count == 0 || timers->entries[0].when > now) {
      np_lock_leave(&timers->lock);
      return fired;
    }
    np_timer *timer = timers->entries[0].timer;
    take_out(timers, timer);
    np_object *owner = timer->owner;
    /* A dying owner waits for this lock to disarm: it must not fire. */
    bool alive = owner == NULL || np_object_try_retain(owner);
    forget(timer);
    np_lock_leave(&timers->lock);
    if (!alive) continue;
    timer->fire(timer, me);
    np_object_release(owner);
    fired++;
  }
}

/* timer.h - a heap of due times, one a worker and one a test bubble.
 * Arming and firing belong to the thread of the heap's worker; removing is for
 * any thread (a deadline is canceled wherever its context is). The heap's lock
 * is the innermost one. A bubble's heap has a clock of its own that stands
 * still until somebody moves it. */
#ifndef NP_CSP_TIMER_H
#define NP_CSP_TIMER_H
#include <stdatomic.h>
#include <stdint.h>

#include "base/alarm.h"
#include "base/clock.h"
#include "base/lock.h"
#include "base/object.h"
#include "base/random.h"
#include "base/status.h"

typedef struct np_timer np_timer;
typedef struct np_timers np_timers;
typedef struct np_waker np_waker;

struct np_timer {
  /* Where it is armed; NULL when it is not, so that what outlives the heap (a
   * handle that a host's collector finds last) does not touch it. Stored under
   * the heap's lock; release and acquire: who reads NULL comes after the fire.
   */
  _Atomic(np_timers *) heap;
  uint32_t position; /* index + 1 in the heap; 0 when not armed */
  /* Runs on the heap's worker with no lock held. */
  void (*fire)(np_timer *timer, np_waker *me);
  np_object *owner; /* kept alive while firing; NULL: the timer's task is */
};

typedef struct np_timer_entry {
  int64_t when;
  uint64_t order; /* among equals: first armed first, or as the seed says */
  np_timer *timer;
} np_timer_entry;

struct np_timers {
  np_lock lock;
  bool is_virtual;
  uint32_t count, capacity;
  np_timer_entry *entries; /* a heap of four children a node */
  uint64_t next_order;
  int64_t now;       /* of a virtual clock */
  np_random *random; /* permutes equal times; NULL: in order of arming */
  np_alarm *alarm;   /* told of an earlier first time while a host waits */
};

void np_timers_init(np_timers *timers, bool is_virtual, int64_t now);
void np_timers_free(np_timers *timers); /* Disarms all that are left. */

static inline int64_t np_timers_now(const np_timers *timers) {
  return timers->is_virtual ? timers->now : np_clock_now();
}

/* Owner thread. Arms or moves; NP_NOMEM leaves it unarmed. */
np_status np_timer_arm(np_timers *timers, np_timer *timer, int64_t when);
/* Any thread. True if it was armed, and then it will not fire. */
bool np_timer_disarm(np_timer *timer);
/* Owner thread. `position` changes when others disarm theirs; this does not. */
static inline bool np_timer_is_armed(const np_timer *timer) {
  return atomic_load_explicit(&timer->heap, memory_order_relaxed) != NULL;
}
/* Any thread. NP_NEVER when nothing is armed. */
int64_t np_timers_next(np_timers *timers);
/* Owner thread. Fires all that are due at `now`; returns how many. */
uint32_t np_timers_fire(np_timers *timers, np_waker *me, int64_t now);

#endif

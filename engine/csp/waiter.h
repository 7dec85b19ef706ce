/* waiter.h - the one way to block.
 * A task blocks by enlisting its waiter with one or more objects, then parking
 * it and yielding. Whoever wants to wake it must first win the claim: an
 * atomic step from PARKED that exactly one caller takes. So a cancel or a
 * timeout can always win, and no task is woken twice.
 *
 * A waker stands for one worker: its ready list, the mailbox through which
 * other threads hand it claimed waiters, and the handle that ends its sleep.
 * The waits of a waiter are only touched under the lock of the object they
 * stand in; the rest of a waiter belongs to its worker, but between claim and
 * hand-over to the claimer.
 *
 * Memory order. A task stores PARKED, then looks at its context; an ending
 * context stores its state, then tries to claim: one of the two must see the
 * other. Parking is frequent and ending is rare, so the ending side makes all
 * threads pass a barrier before it believes that a task of another worker runs
 * (base/barrier.h); without that call PARKED is stored seq_cst. While the
 * engine has one thread (`alone`) a claim needs no atomic step at all. A post
 * to the mailbox releases what the claimer wrote (code, value); the drain
 * acquires it. `sleeping` and `mailbox` are both seq_cst: a worker says that it
 * sleeps, then looks at the mailbox once more; a poster posts, then looks
 * whether it sleeps. */
#ifndef NP_CSP_WAITER_H
#define NP_CSP_WAITER_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/event.h"
#include "base/object.h"
#include "base/random.h"
#include "base/status.h"
#include "csp/timer.h"
#include "value/value.h"

/* cdef:begin */
/* What Lua reads of its worker. Only the worker's own thread writes it. */
typedef struct np_front {
  int32_t budget; /* operations until this task gives way */
  int32_t index;  /* select: the chosen case, from 1 */
  uint32_t slot;  /* the slot to fill (send parked) or to clear (left) */
  int32_t code;   /* why the task that runs next was woken */
  uint32_t task;  /* its slot in the worker's table of tasks */
  uint32_t generation;
  double id;         /* of the task that runs or was started last */
  np_value received; /* after NP_MESSAGE */
} np_front;
/* cdef:end */

typedef struct np_waiter np_waiter;
typedef struct np_bubble np_bubble;
typedef struct np_context np_context;

/* One enlisting with one object. */
typedef struct np_wait {
  np_link link; /* guarded by the object's lock */
  np_waiter *waiter;
  np_object *object;
  np_value value;      /* what a sender brings, what a receiver was given */
  uint32_t index : 31; /* the case of a select, from 1; else 0 */
  uint32_t sends : 1;
  uint32_t left; /* the slot given back when it was left; else NP_NO_SLOT */
} np_wait;

#define NP_NO_SLOT UINT32_MAX

enum {
  NP_RUNNING = 0,
  NP_WAITS = 1,
  NP_CLAIMED = 2
};

struct np_waiter {
  np_waiter *next; /* in a ready list or mailbox */
  np_waker *waker;
  _Atomic uint32_t state;
  int32_t code;   /* written by the claimer */
  np_wait *waits; /* what it is enlisted with */
  uint32_t wait_count;
  int32_t winner; /* the wait that its claimer has taken out; -1: none */
  np_timer timer; /* of a timeout or a sleep */
  np_wait wait;   /* for operations on one object */
  np_context *context;
  np_link member; /* in context->members; guarded by the context's lock */
  np_bubble *bubble;
  _Atomic bool canceled; /* this task alone was canceled */
  bool shielded;         /* being canceled alone does not reach it now */
  bool deaf;             /* no end of its context wakes it (a scope's wait) */
  bool pumps;            /* stands for code outside any task */
};

#define NP_BUDGET 1000 /* 64 hurt a buffered channel; 1,000 did not */

struct np_waker {
  np_front front; /* first: Lua has a pointer to it */
  np_waiter *current;
  np_waiter *ready_first, *ready_last;
  uint32_t ready_count;
  np_timers *timers; /* of the task that runs: the worker's or a bubble's */
  np_timers own_timers;
  np_bubble *idle_bubbles; /* all their tasks are parked */
  uint32_t *free_slots;    /* of the value table, last freed first */
  uint32_t free_count, slot_high, slot_capacity;
  np_list keeps;    /* channels with slots of ours, to be told when we end */
  uint32_t shuffle; /* nonzero: the next task is drawn, not taken */
  bool alone;       /* no other thread of this engine; set before one starts */
  bool spins;       /* as many CPUs as threads: a short wait may spin */
  bool strong;      /* no process-wide barrier here: parking must be seq_cst */
  bool dozing;      /* its host waits for the alarm: see sched/doze.h */
  bool stirred;     /* and was told by its own thread that it can go on */
  np_random random;
  /* Written by other threads, on a line of its own. */
  _Alignas(64) _Atomic(np_waiter *) mailbox;
  _Atomic int32_t attention;
  _Atomic int32_t sleeping;
  np_event event;
};

/* A test bubble: virtual time for the tasks in it, all on one worker. */
struct np_bubble {
  np_timers timers;
  uint32_t active;       /* tasks that run or are ready */
  np_waiter *root;       /* woken with NP_DEADLOCK when nothing can move */
  np_waiter *settler;    /* waits until all others are parked */
  np_bubble *next_idle;  /* in waker->idle_bubbles */
  bool is_idle, is_over; /* over: the root has returned, time stands still */
  np_random random;
};

np_status np_waker_init(np_waker *waker, uint64_t seed);
void np_waker_free(np_waker *waker);
/* Begins the value table anew; channels that hold slots of it give none back.
 */
void np_waker_forget_slots(np_waker *waker);

void np_waiter_init(np_waiter *waiter, np_waker *waker);
/* The same for one whose last wait is over: touches what may have changed. */
static inline void np_waiter_renew(np_waiter *waiter, np_waker *waker) {
  waiter->waker = waker;
  waiter->winner = -1;
  waiter->code = NP_OK;
  waiter->bubble = NULL;
  atomic_store_explicit(&waiter->canceled, false, memory_order_relaxed);
  waiter->shielded = waiter->deaf = false;
}

/* Value slots. NP_NOMEM is told by NP_NO_SLOT. */
uint32_t np_slot_grow(np_waker *me);
static inline uint32_t np_slot_take(np_waker *me) {
  if (np_likely(me->free_count != 0)) return me->free_slots[--me->free_count];
  return np_slot_grow(me);
}
static inline void np_slot_give(np_waker *me, uint32_t slot) {
  np_assert(me->free_count < me->slot_capacity);
  me->free_slots[me->free_count++] = slot; /* Room was made when it grew. */
}

void np_bubble_parked(np_waker *me, np_bubble *bubble);

/* The host itself made something ready while it dozed. */
static inline void np_waker_stir(np_waker *me) {
  if (!me->stirred) np_event_signal(&me->event);
  me->stirred = true;
}

static inline void np_ready_push(np_waker *me, np_waiter *waiter) {
  waiter->next = NULL;
  if (me->ready_last != NULL)
    me->ready_last->next = waiter;
  else {
    me->ready_first = waiter;
    if (np_unlikely(me->dozing)) np_waker_stir(me);
  }
  me->ready_last = waiter;
  me->ready_count++;
  if (np_unlikely(waiter->bubble != NULL)) waiter->bubble->active++;
}

/* The next ready waiter, or NULL. */
np_waiter *np_ready_draw(np_waker *me);
static inline np_waiter *np_ready_pop(np_waker *me) {
  np_waiter *waiter = me->ready_first;
  if (waiter == NULL) return NULL;
  if (np_unlikely(me->shuffle != 0)) return np_ready_draw(me);
  me->ready_first = waiter->next;
  if (me->ready_first == NULL) me->ready_last = NULL;
  me->ready_count--;
  return waiter;
}

/* Any thread: true for the one caller that may (and must) wake it. */
static inline bool np_waiter_claim(np_waiter *waiter) {
  uint32_t waits = NP_WAITS;
  if (waiter->waker->alone) {
    if (atomic_load_explicit(&waiter->state, memory_order_relaxed) != waits)
      return false;
    atomic_store_explicit(&waiter->state, NP_CLAIMED, memory_order_relaxed);
    return true;
  }
  return atomic_compare_exchange_strong_explicit(&waiter->state, &waits,
                                                 NP_CLAIMED,
                                                 memory_order_seq_cst,
                                                 memory_order_relaxed);
}

void np_waker_post(np_waker *waker, np_waiter *waiter);
/* The claimer, holding no lock. `me` is the caller's own waker, or NULL. */
static inline void np_wake(np_waker *me, np_waiter *waiter) {
  if (np_likely(waiter->waker == me))
    np_ready_push(me, waiter);
  else
    np_waker_post(waiter->waker, waiter);
}
/* Claims and wakes with `code` whoever waits on the object, if they still do.
 * Takes the object's lock. */
void np_object_wake_all(np_waker *me, np_object *object, int32_t code);

/* Owner: moves what other threads posted to the ready list. */
bool np_mailbox_drain(np_waker *me);
/* Owner: makes the next operation of this worker look up. Any thread too. */
static inline void np_waker_call(np_waker *waker) {
  atomic_store_explicit(&waker->attention, 1, memory_order_release);
}

/* Enlists the current task with one object, in `list`, under the object's
 * lock, which this call leaves (when `locked`). NP_PARKED or NP_PUMP: yield or
 * pump. NP_CANCELED: the context ended meanwhile and it is not enlisted.
 * NP_STATE: it is enlisted already (a coroutine of the user's own). */
int32_t np_wait_one(np_waker *me, np_object *object, np_list *list, bool sends,
                    np_value value, bool locked);
/* Parks the current task with no object: a timer or a claimer by name wakes. */
int32_t np_wait_bare(np_waker *me);
/* The second half of every wait: sets PARKED and looks at the context. The
 * waits stand in their lists and all locks are held by nobody but the caller,
 * who leaves them afterwards. */
void np_waiter_park(np_waker *me, np_waiter *waiter);
/* After the locks: NP_PARKED, NP_PUMP or NP_CANCELED. */
int32_t np_waiter_parked(np_waker *me, np_waiter *waiter);
/* Adds a limit to the wait just begun: `status` is its result. A time that has
 * passed undoes the wait: NP_TIMEOUT. */
int32_t np_waiter_limit(np_waker *me, int32_t status, double seconds);
/* The task that just parked wins its own claim: nobody else will wake it, and
 * it runs on. False: somebody did. Its waits still stand (np_waiter_leave). */
bool np_waiter_take_back(np_waiter *waiter);
/* Undoes a wait that the current task never yielded for: it was begun in a
 * coroutine of the user's own, or where nothing can yield. A value that had
 * come for it is lost. Returns NP_STATE. */
int32_t np_waiter_withdraw(np_waker *me);
/* Every operation that may park asks this first. */
static inline bool np_waiter_is_stale(const np_waiter *waiter) {
  return np_unlikely(
      atomic_load_explicit(&waiter->state, memory_order_relaxed) != NP_RUNNING);
}
/* Takes out all waits but the winner's, and the timer. Frees a sender's slot
 * (front.slot names it). Owner only, after the claim. */
void np_waiter_leave(np_waker *me, np_waiter *waiter);
/* The scheduler, before the task goes on: fills the front. */
void np_waiter_resumed(np_waker *me, np_waiter *waiter);

/* Puts the current task behind those that are ready: yield (or pump) next. */
void np_waiter_step_aside(np_waker *me);
/* The slow half of the check below. */
int32_t np_waker_attend(np_waker *me);
/* Every blocking operation begins so: NP_OK, NP_CANCELED or NP_YIELD (the task
 * is in the ready list: yield, then call again). */
static inline int32_t np_waker_check(np_waker *me) {
  if (np_unlikely(--me->front.budget < 0 ||
                  atomic_load_explicit(&me->attention, memory_order_relaxed) !=
                      0))
    return np_waker_attend(me);
  return NP_OK;
}

#endif

#include "csp/waiter.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/barrier.h"
#include "csp/channel.h"
#include "csp/context.h"

np_status np_waker_init(np_waker *waker, uint64_t seed) {
  *waker = (np_waker){.front.budget = NP_BUDGET};
  np_timers_init(&waker->own_timers, false, 0);
  waker->timers = &waker->own_timers;
  np_list_init(&waker->keeps);
  waker->alone = true;
  waker->strong = !np_barrier_register();
  np_random_seed(&waker->random, seed);
  atomic_init(&waker->mailbox, NULL);
  atomic_init(&waker->attention, 0);
  atomic_init(&waker->sleeping, 0);
#ifdef NP_HOSTILE
  waker->front.budget = 1;
  waker->shuffle = 1;
#endif
  return np_event_open(&waker->event);
}

void np_waker_forget_slots(np_waker *waker) {
  np_link *link;
  while ((link = np_list_first(&waker->keeps)) != NULL) {
    np_list_remove(link);
    np_container_of(link, np_channel, in_keeper)->keeper = NULL;
  }
  waker->free_count = waker->slot_high = 0;
}

void np_waker_free(np_waker *waker) {
  np_waker_forget_slots(waker); /* A host's channels may outlive us. */
  np_timers_free(&waker->own_timers);
  np_event_close(&waker->event);
  np_free(waker->free_slots);
  waker->free_slots = NULL;
}

static void fire_timeout(np_timer *timer, np_waker *me) {
  np_waiter *waiter = np_container_of(timer, np_waiter, timer);
  if (!np_waiter_claim(waiter)) return;
  waiter->code = NP_TIMEOUT;
  np_wake(me, waiter);
}

void np_waiter_init(np_waiter *waiter, np_waker *waker) {
  *waiter = (np_waiter){.waker = waker, .winner = -1};
  atomic_init(&waiter->state, NP_RUNNING);
  atomic_init(&waiter->canceled, false);
  waiter->timer.fire = fire_timeout;
}

uint32_t np_slot_grow(np_waker *me) {
  if (me->slot_high == me->slot_capacity) {
    uint32_t capacity = me->slot_capacity != 0 ? me->slot_capacity * 2 : 256;
    uint32_t *slots = capacity < INT32_MAX
                          ? np_realloc(me->free_slots, capacity * sizeof *slots)
                          : NULL;
    if (slots == NULL) return NP_NO_SLOT;
    me->free_slots = slots;
    me->slot_capacity = capacity;
  }
  return me->slot_high++;
}

/* Seeded runs draw among the first few: enough to reach every interleaving
 * sooner or later, and no walk through a long list. */
np_waiter *np_ready_draw(np_waker *me) {
  uint32_t among = me->ready_count < 16 ? me->ready_count : 16;
  uint32_t steps = np_random_below(&me->random, among);
  np_waiter *previous = NULL, *waiter = me->ready_first;
  while (steps-- != 0) {
    previous = waiter;
    waiter = waiter->next;
  }
  if (previous != NULL)
    previous->next = waiter->next;
  else
    me->ready_first = waiter->next;
  if (me->ready_last == waiter) me->ready_last = previous;
  me->ready_count--;
  return waiter;
}

void np_waker_post(np_waker *waker, np_waiter *waiter) {
  np_waiter *head = atomic_load_explicit(&waker->mailbox, memory_order_relaxed);
  do {
    waiter->next = head;
  } while (!atomic_compare_exchange_weak_explicit(&waker->mailbox, &head,
                                                  waiter, memory_order_seq_cst,
                                                  memory_order_relaxed));
  /* Only the poster that finds the worker asleep pays for the system call. */
  if (atomic_load_explicit(&waker->sleeping, memory_order_seq_cst) != 0 &&
      atomic_exchange_explicit(&waker->sleeping, 0, memory_order_seq_cst) != 0)
    np_event_signal(&waker->event);
}

bool np_mailbox_drain(np_waker *me) {
  if (atomic_load_explicit(&me->mailbox, memory_order_relaxed) == NULL)
    return false;
  np_waiter *newest =
      atomic_exchange_explicit(&me->mailbox, NULL, memory_order_acquire);
  np_waiter *oldest = NULL; /* Posts come newest first: turn them round. */
  while (newest != NULL) {
    np_waiter *next = newest->next;
    newest->next = oldest;
    oldest = newest;
    newest = next;
  }
  while (oldest != NULL) {
    np_waiter *next = oldest->next;
    np_ready_push(me, oldest);
    oldest = next;
  }
  return true;
}

void np_object_wake_all(np_waker *me, np_object *object, int32_t code) {
  np_waiter *claimed = NULL, **tail = &claimed;
  np_lock_take(&object->lock);
  np_link *link = object->waits.head.next;
  while (link != &object->waits.head) {
    np_wait *wait = np_container_of(link, np_wait, link);
    link = link->next;
    np_waiter *waiter = wait->waiter;
    if (!np_waiter_claim(waiter)) continue; /* Its owner takes the wait out. */
    np_list_remove(&wait->link);
    object->enlisted--;
    waiter->code = code;
    waiter->winner = (int32_t)(wait - waiter->waits);
    waiter->next = NULL;
    *tail = waiter;
    tail = &waiter->next;
  }
  np_lock_leave(&object->lock);
  while (claimed != NULL) {
    np_waiter *next = claimed->next;
    np_wake(me, claimed);
    claimed = next;
  }
}

void np_bubble_parked(np_waker *me, np_bubble *bubble) {
  np_assert(bubble->active > 0);
  if (--bubble->active != 0 || bubble->is_idle) return;
  bubble->is_idle = true;
  bubble->next_idle = me->idle_bubbles;
  me->idle_bubbles = bubble;
}

void np_waiter_park(np_waker *me, np_waiter *waiter) {
  waiter->winner = -1;
  if (np_unlikely(waiter->bubble != NULL)) np_bubble_parked(me, waiter->bubble);
  if (np_unlikely(me->strong)) {
    atomic_store_explicit(&waiter->state, NP_WAITS, memory_order_release);
    atomic_thread_fence(memory_order_seq_cst);
    return;
  }
  atomic_store_explicit(&waiter->state, NP_WAITS, memory_order_release);
  atomic_signal_fence(memory_order_seq_cst); /* The compiler's half. */
}

static bool has_ended(const np_waiter *waiter) {
  if (waiter->deaf) return false;
  if (!waiter->shielded &&
      atomic_load_explicit(&waiter->canceled, memory_order_acquire))
    return true;
  return waiter->context != NULL && np_context_state(waiter->context) != NP_OK;
}

bool np_waiter_take_back(np_waiter *waiter) {
  if (!np_waiter_claim(waiter)) return false;
  if (waiter->bubble != NULL) waiter->bubble->active++;
  atomic_store_explicit(&waiter->state, NP_RUNNING, memory_order_relaxed);
  return true;
}

int32_t np_waiter_parked(np_waker *me, np_waiter *waiter) {
  if (np_unlikely(has_ended(waiter)) && np_waiter_take_back(waiter)) {
    np_waiter_leave(me, waiter);
    return NP_CANCELED;
  }
  return np_unlikely(waiter->pumps) ? NP_PUMP : NP_PARKED;
}

int32_t np_wait_one(np_waker *me, np_object *object, np_list *list, bool sends,
                    np_value value, bool locked) {
  np_waiter *waiter = me->current;
  np_wait *wait = &waiter->wait;
  np_assert(waiter->wait_count == 0);
  wait->waiter = waiter;
  wait->object = object;
  wait->value = value;
  wait->index = 0;
  wait->sends = sends;
  wait->left = NP_NO_SLOT;
  np_list_push(list, &wait->link);
  object->enlisted++;
  waiter->waits = wait;
  waiter->wait_count = 1;
  np_waiter_park(me, waiter);
  if (locked) np_lock_leave(&object->lock);
  return np_waiter_parked(me, waiter);
}

int32_t np_wait_bare(np_waker *me) {
  np_waiter *waiter = me->current;
  waiter->waits = NULL;
  waiter->wait_count = 0;
  np_waiter_park(me, waiter);
  return np_waiter_parked(me, waiter);
}

int32_t np_waiter_limit(np_waker *me, int32_t status, double seconds) {
  if (status != NP_PARKED && status != NP_PUMP) return status;
  np_waiter *waiter = me->current;
  int64_t now = np_timers_now(me->timers);
  int32_t failed = NP_TIMEOUT;
  if (seconds > 0) {
    failed =
        np_timer_arm(me->timers, &waiter->timer, np_clock_after(now, seconds));
    if (failed == NP_OK) return status;
  }
  if (!np_waiter_take_back(waiter))
    return status; /* Somebody woke us just now. */
  np_waiter_leave(me, waiter);
  return failed;
}

/* What a send did not get rid of: Lua clears the slot, C gives it back. */
static void take_back_value(np_waker *me, np_wait *wait) {
  if (wait->value.tag == NP_SLOT) {
    me->front.slot = wait->left = wait->value.as.slot;
    np_slot_give(me, wait->left);
    wait->value.tag = NP_NOTHING;
  } else {
    np_value_drop(&wait->value);
  }
}

static void leave_one(np_waker *me, np_wait *wait) {
  np_object *object = wait->object;
  if (object == NULL) return; /* A disabled case. */
  np_lock_take(&object->lock);
  if (np_link_linked(&wait->link)) np_list_remove(&wait->link);
  object->enlisted--;
  bool last = object->orphaned && object->enlisted == 0;
  np_lock_leave(&object->lock);
  if (last) object->kind->free(object);
  if (wait->sends) take_back_value(me, wait);
}

void np_waiter_leave(np_waker *me, np_waiter *waiter) {
  for (uint32_t i = 0; i < waiter->wait_count; i++)
    if ((int32_t)i != waiter->winner) leave_one(me, &waiter->waits[i]);
  waiter->wait_count = 0;
  waiter->waits = NULL;
  if (np_timer_is_armed(&waiter->timer)) np_timer_disarm(&waiter->timer);
  atomic_store_explicit(&waiter->state, NP_RUNNING, memory_order_relaxed);
}

static bool unlink_ready(np_waker *me, np_waiter *waiter) {
  np_waiter *previous = NULL, *at = me->ready_first;
  while (at != NULL && at != waiter) {
    previous = at;
    at = at->next;
  }
  if (at == NULL) return false;
  if (previous != NULL)
    previous->next = at->next;
  else
    me->ready_first = at->next;
  if (me->ready_last == at) me->ready_last = previous;
  me->ready_count--;
  return true;
}

int32_t np_waiter_withdraw(np_waker *me) {
  np_waiter *waiter = me->current;
  if (!np_waiter_take_back(waiter)) {
    /* Its claimer hands it over any moment now. */
    while (!unlink_ready(me, waiter))
      if (!np_mailbox_drain(me)) np_cpu_pause();
    if (waiter->winner >= 0) {
      np_value *value = &waiter->waits[waiter->winner].value;
      if (value->tag == NP_SLOT)
        np_slot_give(me, value->as.slot);
      else
        np_value_drop(value);
      value->tag = NP_NOTHING;
    }
  }
  if (waiter->deaf) { /* It waited for its scope, which must forget it. */
    np_context *scope = waiter->context;
    np_lock_take(&scope->object.lock);
    if (scope->joiner == waiter) scope->joiner = NULL;
    waiter->deaf = false;
    np_lock_leave(&scope->object.lock);
    np_waker_call(me);
  }
  np_waiter_leave(me, waiter);
  return NP_STATE;
}

void np_waiter_resumed(np_waker *me, np_waiter *waiter) {
  if (waiter->winner >= 0) {
    np_wait *wait = &waiter->waits[waiter->winner];
    me->front.index = (int32_t)wait->index;
    if (waiter->code == NP_MESSAGE) {
      me->front.received = wait->value;
      wait->value.tag = NP_NOTHING;
    } else if (wait->value.tag == NP_SLOT) {
      /* A receiver has its slot's number in the code; a sender whose channel
       * was closed gets its own back. */
      take_back_value(me, wait);
    }
  }
  if (waiter->wait_count > 1 || waiter->winner < 0 ||
      np_timer_is_armed(&waiter->timer))
    np_waiter_leave(me, waiter);
  else {
    waiter->wait_count = 0;
    atomic_store_explicit(&waiter->state, NP_RUNNING, memory_order_relaxed);
  }
  me->current = waiter;
  me->front.code = waiter->code;
  me->timers =
      waiter->bubble != NULL ? &waiter->bubble->timers : &me->own_timers;
#ifdef NP_HOSTILE
  me->front.budget = 1;
#else
  me->front.budget = NP_BUDGET;
#endif
  /* Its context may have ended while it was ready: the next check must see. */
  if (np_unlikely(has_ended(waiter))) np_waker_call(me);
}

int32_t np_waker_attend(np_waker *me) {
  np_waiter *waiter = me->current;
  if (np_waiter_is_stale(waiter)) return np_waiter_withdraw(me);
  atomic_exchange_explicit(&me->attention, 0, memory_order_acquire);
  if (has_ended(waiter)) {
    np_waker_call(me); /* And the next call raises again. */
    if (me->front.budget < 0) me->front.budget = 0;
    return NP_CANCELED;
  }
  if (me->front.budget >= 0) return NP_OK;
#ifdef NP_HOSTILE
  me->front.budget = (int32_t)np_random_below(&me->random, 3);
#else
  me->front.budget = NP_BUDGET;
#endif
  np_mailbox_drain(me);
  if (waiter->pumps) return NP_OK; /* Cannot yield; its next wait pumps. */
  np_waiter_step_aside(me);
  return NP_YIELD;
}

void np_waiter_step_aside(np_waker *me) {
  np_waiter *waiter = me->current;
  if (np_waiter_is_stale(waiter)) (void)np_waiter_withdraw(me);
  if (waiter->bubble != NULL) waiter->bubble->active--;
  waiter->winner = -1;
  waiter->code = NP_OK;
  /* Not running until it is resumed: see np_waiter_is_stale. */
  atomic_store_explicit(&waiter->state, NP_CLAIMED, memory_order_relaxed);
  np_ready_push(me, waiter);
}

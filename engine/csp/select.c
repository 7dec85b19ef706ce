#include "csp/select.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/assert.h"

np_select *np_select_open(uint32_t count) {
  if (count > NP_CASES_MAX) return NULL;
  np_select *select = np_alloc_zero(sizeof *select);
  if (select == NULL) return NULL;
  select->count = count;
  select->cases = np_alloc_zero(count * sizeof *select->cases);
  select->waits = np_alloc_zero(count * sizeof *select->waits);
  select->order = np_alloc(count * sizeof *select->order);
  if (select->cases == NULL || select->waits == NULL || select->order == NULL) {
    np_select_free(select);
    return NULL;
  }
  for (uint32_t i = 0; i < count; i++) select->order[i] = i;
  return select;
}

void np_select_free(np_select *select) {
  if (select == NULL) return;
  for (uint32_t i = 0; select->cases != NULL && i < select->count; i++)
    np_value_drop(&select->cases[i].value);
  np_free(select->cases);
  np_free(select->waits);
  np_free(select->order);
  np_free(select);
}

void np_select_set(np_select *select, uint32_t at, np_object *object,
                   bool sends) {
  np_assert(at < select->count && !select->busy);
  np_case *entry = &select->cases[at];
  if (entry->object != object) select->sorted = false;
  entry->object = object;
  entry->sends = sends;
}

static uintptr_t address(const np_select *select, uint32_t position) {
  return (uintptr_t)select->cases[select->order[position]].object;
}

/* Heap sort, as no stack and no allocation is wanted for 65,536 cases. */
static void sift(np_select *select, uint32_t root, uint32_t count) {
  for (;;) {
    uint32_t child = root * 2 + 1;
    if (child >= count) return;
    if (child + 1 < count &&
        address(select, child) < address(select, child + 1))
      child++;
    if (address(select, root) >= address(select, child)) return;
    uint32_t swap = select->order[root];
    select->order[root] = select->order[child];
    select->order[child] = swap;
    root = child;
  }
}

static void sort_order(np_select *select) {
  uint32_t count = select->count;
  for (uint32_t i = count / 2; i-- > 0;) sift(select, i, count);
  for (uint32_t end = count; end-- > 1;) {
    uint32_t swap = select->order[0];
    select->order[0] = select->order[end];
    select->order[end] = swap;
    sift(select, 0, end);
  }
  select->sorted = true;
}

/* A channel that one worker uses has no lock to take. */
static bool has_lock(const np_object *object) {
  if (object->kind != &np_channel_kind) return true;
  return np_container_of(object, np_channel, object)->shared;
}

static void lock_all(np_select *select) {
  if (!select->sorted) sort_order(select);
  const np_object *previous = NULL;
  for (uint32_t i = 0; i < select->count; i++) {
    np_object *object = select->cases[select->order[i]].object;
    if (object == NULL || object == previous) continue;
    if (has_lock(object)) np_lock_take(&object->lock);
    previous = object;
  }
}

static void unlock_all(np_select *select) {
  const np_object *previous = NULL;
  for (uint32_t i = select->count; i-- > 0;) {
    np_object *object = select->cases[select->order[i]].object;
    if (object == NULL || object == previous) continue;
    if (has_lock(object)) np_lock_leave(&object->lock);
    previous = object;
  }
}

static bool anyone_waits(const np_list *list) {
  const np_link *end = &list->head;
  for (const np_link *link = end->next; link != end; link = link->next) {
    const np_wait *wait = np_container_of(link, np_wait, link);
    if (atomic_load_explicit(&wait->waiter->state, memory_order_relaxed) ==
        NP_WAITS)
      return true;
  }
  return false;
}

static bool is_ready(const np_case *entry) {
  np_object *object = entry->object;
  if (object == NULL) return false;
  if (object->kind != &np_channel_kind)
    return object->kind->ready(object) != NP_AGAIN;
  const np_channel *channel = np_container_of(object, np_channel, object);
  if (channel->closed) return true;
  if (!entry->sends)
    return channel->count != 0 || anyone_waits(&channel->senders);
  return channel->count < channel->capacity || channel->overflow != NP_BLOCK ||
         anyone_waits(&object->waits);
}

/* One of the ready cases, each with the same chance; count when none is. */
static uint32_t choose(np_waker *me, const np_select *select) {
  uint32_t ready = 0, chosen = select->count;
  for (uint32_t i = 0; i < select->count; i++) {
    if (!is_ready(&select->cases[i])) continue;
    ready++;
    if (ready == 1 || np_random_below(&me->random, ready) == 0) chosen = i;
  }
  return chosen;
}

static int32_t send_case(np_waker *me, np_channel *channel, np_case *entry,
                         np_waiter **woken) {
  me->front.slot = NP_NO_SLOT;
  if (channel->shared) {
    int32_t status = np_channel_send_now(me, channel, &entry->value, woken);
    if (status == NP_OK) entry->value.tag = NP_NOTHING;
    return status == NP_DONE ? NP_OK : status; /* Dropped, as was asked. */
  }
  int32_t slot = np_channel_send_slot(me, channel, false);
  if (slot == NP_DONE) return NP_OK;
  if (slot < 0) return slot;
  me->front.slot = (uint32_t)slot;
  return NP_OK;
}

static int32_t take_case(np_waker *me, np_case *entry, np_waiter **woken) {
  np_object *object = entry->object;
  if (object->kind != &np_channel_kind) return object->kind->ready(object);
  np_channel *channel = np_container_of(object, np_channel, object);
  if (entry->sends) return send_case(me, channel, entry, woken);
  return np_channel_receive_now(me, channel, woken);
}

/* Gives every local send a slot of its own before anything is enlisted. */
static bool take_slots(np_waker *me, np_select *select) {
  for (uint32_t i = 0; i < select->count; i++) {
    np_case *entry = &select->cases[i];
    np_wait *wait = &select->waits[i];
    *wait = (np_wait){.object = entry->object,
                      .index = (i + 1) & 0x7fffffff,
                      .sends = entry->sends,
                      .left = NP_NO_SLOT};
    if (entry->object == NULL || !entry->sends) continue;
    if (has_lock(entry->object)) {
      wait->value = entry->value;
      entry->value.tag = NP_NOTHING;
      continue;
    }
    uint32_t slot = np_slot_take(me);
    if (slot == NP_NO_SLOT) {
      while (i-- > 0) {
        np_value *value = &select->waits[i].value;
        if (value->tag == NP_SLOT)
          np_slot_give(me, value->as.slot);
        else
          np_value_drop(value);
      }
      return false;
    }
    wait->value = np_value_slot(slot);
  }
  return true;
}

/* From a random case on, in a random direction: of two cases on one channel
 * either may stand first. */
static void enlist(np_waker *me, np_select *select) {
  np_waiter *waiter = me->current;
  uint32_t count = select->count;
  uint32_t draw = count > 1 ? np_random_below(&me->random, 2 * count) : 0;
  uint32_t step = draw & 1 ? 1 : count - 1, at = draw >> 1;
  for (uint32_t left = count; left != 0; left--) {
    np_wait *wait = &select->waits[at];
    at += step;
    if (at >= count) at -= count;
    np_object *object = wait->object;
    if (object == NULL) continue;
    wait->waiter = waiter;
    np_list *list = &object->waits;
    if (wait->sends)
      list = &np_container_of(object, np_channel, object)->senders;
    np_list_push(list, &wait->link);
    object->enlisted++;
  }
  waiter->waits = select->waits;
  waiter->wait_count = count;
}

static void drop_values(np_select *select) {
  for (uint32_t i = 0; i < select->count; i++)
    if (select->cases[i].value.tag != NP_NOTHING)
      np_value_drop(&select->cases[i].value);
}

int32_t np_select_run(np_waker *me, np_select *select, bool wait) {
  if (wait) {
    int32_t status = np_waker_check(me);
    if (np_unlikely(status != NP_OK)) return status;
    if (np_waiter_is_stale(me->current)) return np_waiter_withdraw(me);
  }
  np_waiter *woken = NULL;
  lock_all(select);
  int32_t status = NP_AGAIN;
  uint32_t chosen;
  /* A waiter that looked ready may be claimed by others before us: look again
   * (it counts as ready no more). */
  while (status == NP_AGAIN && (chosen = choose(me, select)) < select->count) {
    status = take_case(me, &select->cases[chosen], &woken);
    me->front.index = (int32_t)chosen + 1;
  }
  if (status == NP_AGAIN && wait) {
    if (take_slots(me, select)) {
      enlist(me, select);
      np_waiter_park(me, me->current);
      unlock_all(select);
      return np_waiter_parked(me, me->current);
    }
    status = NP_NOMEM;
  }
  unlock_all(select);
  if (woken != NULL) np_wake(me, woken);
  drop_values(select);
  return status;
}

/* A shared channel's sends have no slot, and others may be taking them now. */
uint32_t np_select_slot(const np_select *select, uint32_t at) {
  const np_case *entry = &select->cases[at];
  if (entry->object == NULL || !entry->sends || has_lock(entry->object))
    return NP_NO_SLOT;
  const np_wait *wait = &select->waits[at];
  return wait->value.tag == NP_SLOT ? wait->value.as.slot : NP_NO_SLOT;
}

uint32_t np_select_left(const np_select *select, uint32_t at) {
  return select->waits[at].left;
}

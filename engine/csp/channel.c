#include "csp/channel.h"

#include "base/alloc.h"
#include "base/assert.h"

static void drop_value(np_waker *keeper, np_value *value) {
  if (value->tag != NP_SLOT)
    np_value_drop(value);
  else if (keeper != NULL)
    np_slot_give(keeper, value->as.slot);
}

static void leave_keeper(np_channel *channel) {
  if (channel->keeper == NULL) return;
  np_list_remove(&channel->in_keeper);
  channel->keeper = NULL;
}

static void channel_free(np_object *object) {
  np_channel *channel = np_container_of(object, np_channel, object);
  if (np_object_orphan(object)) return;
  for (uint32_t i = 0; i < channel->count; i++) {
    uint32_t at = channel->head + i;
    if (at >= channel->ring_size) at -= channel->ring_size;
    drop_value(channel->keeper, &channel->ring[at]);
  }
  leave_keeper(channel);
  np_free(channel->ring);
  np_free(channel);
}

const np_object_kind np_channel_kind = {"channel", 1, channel_free, NULL};

np_channel *np_channel_open(uint32_t capacity, np_overflow overflow,
                            bool shared) {
  if (capacity > NP_CAPACITY_MAX) return NULL;
  np_channel *channel = np_alloc_zero(sizeof *channel);
  if (channel == NULL) return NULL;
  np_object_init(&channel->object, &np_channel_kind);
  np_list_init(&channel->senders);
  channel->capacity = capacity;
  channel->overflow = (uint8_t)overflow;
  channel->shared = shared;
  return channel;
}

/* Grows by doubling: a large capacity costs memory only when it is used. */
static bool ring_grow(np_waker *me, np_channel *channel) {
  uint32_t size = channel->ring_size != 0 ? channel->ring_size * 2 : 8;
  if (size > channel->capacity) size = channel->capacity;
  np_value *ring = np_alloc(size * sizeof *ring);
  if (ring == NULL) return false;
  for (uint32_t i = 0; i < channel->count; i++) {
    uint32_t at = channel->head + i;
    if (at >= channel->ring_size) at -= channel->ring_size;
    ring[i] = channel->ring[at];
  }
  np_free(channel->ring);
  channel->ring = ring;
  channel->ring_size = size;
  channel->head = 0;
  if (!channel->shared && channel->keeper == NULL) {
    channel->keeper = me;
    np_list_push(&me->keeps, &channel->in_keeper);
  }
  return true;
}

static inline void ring_push(np_channel *channel, np_value value) {
  uint32_t at = channel->head + channel->count++;
  if (at >= channel->ring_size) at -= channel->ring_size;
  channel->ring[at] = value;
}

static inline np_value ring_pop(np_channel *channel) {
  np_value value = channel->ring[channel->head];
  if (++channel->head == channel->ring_size) channel->head = 0;
  channel->count--;
  return value;
}

/* The first waiter of `list` whose claim we win; its wait is taken out. One
 * whose claim is lost leaves the list too, but stays counted: its owner has yet
 * to come for it, and the object must live until then. */
static inline np_wait *claim_first(np_channel *channel, np_list *list) {
  np_link *link;
  while ((link = np_list_first(list)) != NULL) {
    np_wait *wait = np_container_of(link, np_wait, link);
    np_list_remove(link);
    np_waiter *waiter = wait->waiter;
    if (np_waiter_claim(waiter)) {
      channel->object.enlisted--;
      waiter->winner = (int32_t)(wait - waiter->waits);
      return wait;
    }
  }
  return NULL;
}

/* A slot is free as soon as its number is told: Lua reads it at once. */
static inline int32_t hand_value(np_waker *me, np_value value) {
  if (np_likely(value.tag == NP_SLOT)) {
    np_slot_give(me, value.as.slot);
    return (int32_t)value.as.slot;
  }
  me->front.received = value;
  return NP_MESSAGE;
}

int32_t np_channel_receive_now(np_waker *me, np_channel *channel,
                               np_waiter **woken) {
  if (channel->count != 0) {
    np_value value = ring_pop(channel);
    np_wait *sender = claim_first(channel, &channel->senders);
    if (sender != NULL) { /* It refills the place at once. */
      ring_push(channel, sender->value);
      sender->value.tag = NP_NOTHING;
      sender->waiter->code = NP_OK;
      *woken = sender->waiter;
    }
    return hand_value(me, value);
  }
  np_wait *sender = claim_first(channel, &channel->senders);
  if (sender != NULL) {
    np_value value = sender->value;
    sender->value.tag = NP_NOTHING;
    sender->waiter->code = NP_OK;
    *woken = sender->waiter;
    return hand_value(me, value);
  }
  return channel->closed ? NP_CLOSED : NP_AGAIN;
}

static int32_t overflow(np_waker *me, np_channel *channel, np_value *value) {
  switch (channel->overflow) {
    case NP_DROP_NEW:
      channel->dropped++;
      return NP_DONE;
    case NP_DROP_OLD:
      if (channel->capacity == 0) {
        channel->dropped++;
        return NP_DONE;
      }
      np_value oldest = ring_pop(channel);
      drop_value(me, &oldest);
      channel->dropped++;
      ring_push(channel, *value);
      return NP_OK;
    case NP_FAIL:
      return NP_LIMIT;
    default:
      return NP_AGAIN;
  }
}

int32_t np_channel_send_now(np_waker *me, np_channel *channel, np_value *value,
                            np_waiter **woken) {
  if (np_unlikely(channel->closed)) return NP_CLOSED;
  np_wait *receiver = claim_first(channel, &channel->object.waits);
  if (receiver != NULL) {
    np_waiter *waiter = receiver->waiter;
    receiver->value = *value;
    waiter->code = value->tag == NP_SLOT ? (int32_t)value->as.slot : NP_MESSAGE;
    *woken = waiter;
    return NP_OK;
  }
  if (channel->count < channel->capacity) {
    if (np_unlikely(channel->count == channel->ring_size) &&
        !ring_grow(me, channel))
      return NP_NOMEM;
    ring_push(channel, *value);
    return NP_OK;
  }
  return channel->overflow == NP_BLOCK ? NP_AGAIN
                                       : overflow(me, channel, value);
}

/* Parking, being woken and finding the channel full again costs far more than
 * the few microseconds in which a peer on another worker moves half a ring. A
 * worker with nothing else to do lingers that long before it parks. */
#define LINGER_ROUNDS 16
#define LINGER_PAUSES 16
#define LINGER_CAPACITY 16

static bool may_linger(const np_waker *me, const np_channel *channel) {
  return me->spins && channel->shared && me->ready_first == NULL &&
         channel->capacity >= LINGER_CAPACITY;
}

/* With the lock held, which it leaves for a moment. */
static void linger(np_channel *channel) {
  np_lock_leave(&channel->object.lock);
  for (int i = 0; i < LINGER_PAUSES; i++) np_cpu_pause();
  np_lock_take(&channel->object.lock);
}

/* With the lock held: until the ring is half empty, so that one wait pays for
 * many sends. What came of trying again then. */
static int32_t send_lingering(np_waker *me, np_channel *channel,
                              np_value *value, np_waiter **woken) {
  if (!may_linger(me, channel)) return NP_AGAIN;
  for (int round = 0; round < LINGER_ROUNDS; round++) {
    linger(channel);
    if (channel->closed || channel->count <= channel->capacity / 2) break;
  }
  return np_channel_send_now(me, channel, value, woken);
}

static int32_t receive_lingering(np_waker *me, np_channel *channel,
                                 np_waiter **woken) {
  int32_t status = NP_AGAIN;
  if (!may_linger(me, channel)) return status;
  for (int round = 0; round < LINGER_ROUNDS && status == NP_AGAIN; round++) {
    linger(channel);
    status = np_channel_receive_now(me, channel, woken);
  }
  return status;
}

int32_t np_channel_send(np_waker *me, np_channel *channel, np_value *value,
                        bool wait) {
  if (wait) {
    int32_t status = np_waker_check(me);
    if (np_unlikely(status != NP_OK)) return status;
    if (np_waiter_is_stale(me->current)) return np_waiter_withdraw(me);
  }
  np_waiter *woken = NULL;
  np_channel_lock(channel);
  int32_t status = np_channel_send_now(me, channel, value, &woken);
  if (status == NP_AGAIN && wait)
    status = send_lingering(me, channel, value, &woken);
  if (status == NP_AGAIN && wait) {
    np_value taken = *value; /* Even a cancel that comes now drops it there. */
    value->tag = NP_NOTHING;
    return np_wait_one(me, &channel->object, &channel->senders, true, taken,
                       channel->shared);
  }
  np_channel_unlock(channel);
  if (woken != NULL) np_wake(me, woken);
  if (status == NP_DONE) { /* Dropped, as was asked. */
    np_value_drop(value);
    return NP_OK;
  }
  return status;
}

int32_t np_channel_send_slot(np_waker *me, np_channel *channel, bool wait) {
  if (np_unlikely(channel->shared)) return NP_TRAVELS;
  if (wait) {
    int32_t status = np_waker_check(me);
    if (np_unlikely(status != NP_OK)) return status;
    if (np_waiter_is_stale(me->current)) return np_waiter_withdraw(me);
  }
  uint32_t slot = np_slot_take(me);
  if (np_unlikely(slot == NP_NO_SLOT)) return NP_NOMEM;
  np_value value = np_value_slot(slot);
  np_waiter *woken = NULL;
  int32_t status = np_channel_send_now(me, channel, &value, &woken);
  if (np_likely(status == NP_OK)) {
    if (woken != NULL) np_wake(me, woken);
    return (int32_t)slot;
  }
  if (status == NP_AGAIN && wait) {
    status = np_wait_one(me, &channel->object, &channel->senders, true, value,
                         false);
    if (status == NP_PARKED || status == NP_PUMP) me->front.slot = slot;
    return status;
  }
  np_slot_give(me, slot);
  return status;
}

int32_t np_channel_recv(np_waker *me, np_channel *channel, bool wait) {
  if (wait) {
    int32_t status = np_waker_check(me);
    if (np_unlikely(status != NP_OK)) return status;
    if (np_waiter_is_stale(me->current)) return np_waiter_withdraw(me);
  }
  np_waiter *woken = NULL;
  np_channel_lock(channel);
  int32_t status = np_channel_receive_now(me, channel, &woken);
  if (status == NP_AGAIN && wait)
    status = receive_lingering(me, channel, &woken);
  if (status == NP_AGAIN && wait)
    return np_wait_one(me, &channel->object, &channel->object.waits, false,
                       (np_value){0}, channel->shared);
  np_channel_unlock(channel);
  if (woken != NULL) np_wake(me, woken);
  return status;
}

static np_waiter *claim_all(np_channel *channel, np_list *list,
                            np_waiter *chain) {
  np_waiter *first = NULL, **tail = &first;
  np_wait *wait;
  while ((wait = claim_first(channel, list)) != NULL) {
    np_waiter *waiter = wait->waiter;
    waiter->code = NP_CLOSED;
    /* What a parked sender brought is lost with the close, as in Go. A slot is
     * given back by its owner, who has the table (np_waiter_resumed). */
    if (wait->sends && wait->value.tag != NP_SLOT) np_value_drop(&wait->value);
    waiter->next = NULL;
    *tail = waiter;
    tail = &waiter->next;
  }
  *tail = chain;
  return first;
}

int32_t np_channel_close(np_waker *me, np_channel *channel) {
  np_channel_lock(channel);
  if (channel->closed) {
    np_channel_unlock(channel);
    return NP_CLOSED;
  }
  channel->closed = true;
  np_waiter *claimed = claim_all(channel, &channel->senders, NULL);
  claimed = claim_all(channel, &channel->object.waits, claimed);
  np_channel_unlock(channel);
  while (claimed != NULL) {
    np_waiter *next = claimed->next;
    np_wake(me, claimed);
    claimed = next;
  }
  return NP_OK;
}

uint32_t np_channel_len(np_channel *channel) {
  np_channel_lock(channel);
  uint32_t count = channel->count;
  np_channel_unlock(channel);
  return count;
}

bool np_channel_is_closed(np_channel *channel) {
  np_channel_lock(channel);
  bool closed = channel->closed;
  np_channel_unlock(channel);
  return closed;
}

uint32_t np_channel_slots(np_channel *channel, uint32_t *out, uint32_t room) {
  uint32_t found = 0;
  for (uint32_t i = 0; i < channel->count; i++) {
    uint32_t at = channel->head + i;
    if (at >= channel->ring_size) at -= channel->ring_size;
    if (found < room) out[found] = channel->ring[at].as.slot;
    found++;
  }
  np_link *end = &channel->senders.head;
  for (np_link *link = end->next; link != end; link = link->next) {
    np_wait *wait = np_container_of(link, np_wait, link);
    if (found < room) out[found] = wait->value.as.slot;
    found++;
  }
  return found;
}

void np_channel_promote(np_waker *me, np_channel *channel, np_value *messages) {
  np_assert(!channel->shared);
  for (uint32_t i = 0; i < channel->count; i++) {
    uint32_t at = channel->head + i;
    if (at >= channel->ring_size) at -= channel->ring_size;
    np_slot_give(me, channel->ring[at].as.slot);
    channel->ring[at] = *messages++;
  }
  np_link *end = &channel->senders.head;
  for (np_link *link = end->next; link != end; link = link->next) {
    np_wait *wait = np_container_of(link, np_wait, link);
    np_slot_give(me, wait->value.as.slot);
    wait->value = *messages++;
  }
  leave_keeper(channel);
  channel->shared = true; /* Before the handle is published; see value.h. */
}

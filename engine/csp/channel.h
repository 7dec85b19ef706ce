/* channel.h - bounded FIFO of values between tasks; capacity 0 is a
 * rendezvous. Go's semantics to the letter: values and waiters first come first
 * served, a parked sender refills the slot that a receive frees, values in the
 * ring outlive the close, a send on a closed channel fails.
 *
 * A channel is local to one worker until it is promoted (by its worker, before
 * anybody else knows it). Local: items are slots of that worker's value table
 * and no lock is taken. Shared: items are messages and every operation holds
 * the lock, but for waking. One code does both.
 * Invariants: receivers wait only while nothing is in the ring; senders only
 * while it is full; `count` <= `capacity`. A wait whose claim is lost may stand
 * in a list until its owner takes it out. */
#ifndef NP_CSP_CHANNEL_H
#define NP_CSP_CHANNEL_H
#include "csp/waiter.h"

typedef enum np_overflow {
  NP_BLOCK = 0,
  NP_DROP_NEW = 1,
  NP_DROP_OLD = 2,
  NP_FAIL = 3
} np_overflow;

typedef struct np_channel {
  np_object object; /* waits: the parked receivers */
  np_list senders;
  np_value *ring; /* grows up to the capacity; a power of two or exact */
  uint32_t ring_size, head, count, capacity;
  bool closed, shared;
  uint8_t overflow;
  uint64_t dropped;
  uint32_t home;    /* number of the worker it is local to */
  np_waker *keeper; /* whose slots are in the ring; NULL: none were */
  np_link in_keeper;
} np_channel;

#define NP_CAPACITY_MAX (UINT32_C(1) << 30)

/* NULL when there is no memory. The caller owns a reference. */
np_channel *np_channel_open(uint32_t capacity, np_overflow overflow,
                            bool shared);

/* Sends `value`, which is taken over unless the result is negative; a send that
 * parked, if only for a moment, has it too and leaves NP_NOTHING. Local
 * channels: the value is a slot that the caller fills after the call; see
 * np_channel_send_slot. NP_OK, NP_PARKED, NP_PUMP, NP_CLOSED, NP_CANCELED,
 * NP_NOMEM, NP_STATE, NP_LIMIT (overflow "error"); NP_AGAIN instead of parking
 * unless `wait`. */
int32_t np_channel_send(np_waker *me, np_channel *channel, np_value *value,
                        bool wait);
/* For a local channel: as above, with a slot of its own choice. A slot (>= 0)
 * is the caller's to fill; NP_PARKED and NP_PUMP: fill front.slot, then yield.
 * NP_TRAVELS: the channel is shared, nothing was done. */
int32_t np_channel_send_slot(np_waker *me, np_channel *channel, bool wait);

/* A slot (>= 0), NP_MESSAGE (front.received has it), NP_CLOSED (and drained),
 * NP_PARKED, NP_PUMP, NP_CANCELED, NP_STATE; NP_AGAIN unless `wait`. */
int32_t np_channel_recv(np_waker *me, np_channel *channel, bool wait);

/* NP_OK, or NP_CLOSED if it was closed before. */
int32_t np_channel_close(np_waker *me, np_channel *channel);

uint32_t np_channel_len(np_channel *channel);
bool np_channel_is_closed(np_channel *channel);

/* Halves of the operations, with the lock held (see select): whether one could
 * go on now, and doing it. `receive_now` and `send_now` never park; they put
 * whoever they claimed in *woken, to be woken after the lock is left. */
int32_t np_channel_receive_now(np_waker *me, np_channel *channel,
                               np_waiter **woken);
int32_t np_channel_send_now(np_waker *me, np_channel *channel, np_value *value,
                            np_waiter **woken);

static inline void np_channel_lock(np_channel *channel) {
  if (channel->shared) np_lock_take(&channel->object.lock);
}
static inline void np_channel_unlock(np_channel *channel) {
  if (channel->shared) np_lock_leave(&channel->object.lock);
}

/* Owner thread, while local: visits each slot in the channel (ring, then
 * parked senders); `visit` gives the message that takes its place. All or
 * nothing: the caller encodes everything before it calls np_channel_promote. */
uint32_t np_channel_slots(np_channel *channel, uint32_t *out, uint32_t room);
void np_channel_promote(np_waker *me, np_channel *channel, np_value *messages);

extern const np_object_kind np_channel_kind;

#endif

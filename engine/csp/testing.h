/* testing.h - a worker with no thread, for tests of csp: its tasks are bare
 * waiters, and the test plays scheduler. What a test calls `now` runs as that
 * task; what woke comes out of np_actor_next in the order of the ready list. */
#ifndef NP_CSP_TESTING_H
#define NP_CSP_TESTING_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "csp/select.h"

typedef struct np_actor {
  np_waiter waiter; /* first */
  int number;
} np_actor;

static inline void np_test_waker(np_waker *waker, uint64_t seed) {
  assert_int_equal(np_waker_init(waker, seed), NP_OK);
  waker->shuffle = 0; /* Tests of order say what the order is. */
}

static inline void np_actors_init(np_actor *actors, int count,
                                  np_waker *waker) {
  for (int i = 0; i < count; i++) {
    np_waiter_init(&actors[i].waiter, waker);
    actors[i].number = i;
  }
}

/* From here on the test runs as this actor; hostile builds give it a budget
 * too, so that no operation asks it to yield. */
static inline np_waker *now(np_actor *actor) {
  np_waker *me = actor->waiter.waker;
  me->current = &actor->waiter;
  me->front.budget = NP_BUDGET;
  return me;
}

/* The next actor that was woken goes on: front.code says why. */
static inline np_actor *np_actor_next(np_waker *me) {
  np_mailbox_drain(me);
  np_waiter *waiter = np_ready_pop(me);
  if (waiter == NULL) return NULL;
  np_waiter_resumed(me, waiter);
  me->front.budget = NP_BUDGET;
  return (np_actor *)(void *)waiter;
}

#define assert_next(me, actor, why)            \
  do {                                         \
    np_actor *next_ = np_actor_next(me);       \
    assert_ptr_equal(next_, (actor));          \
    assert_int_equal((me)->front.code, (why)); \
  } while (0)
#define assert_nobody(me) assert_null(np_actor_next(me))

static inline int32_t np_test_send(np_actor *actor, np_channel *channel,
                                   double number, bool wait) {
  np_value value = np_value_number(number);
  return np_channel_send(now(actor), channel, &value, wait);
}

static inline np_value np_text(const char *text) {
  np_value value;
  assert_int_equal(np_value_string(&value, text, strlen(text)), NP_OK);
  return value;
}

/* What came with NP_MESSAGE. */
static inline double np_test_received(np_waker *me) {
  assert_int_equal(me->front.received.tag, NP_NUMBER);
  return me->front.received.as.number;
}

#endif

/* Overflow, local channels and their slots, promotion, and waits whose claim
 * somebody else has won. */
#include "csp/testing.h"

#define MANY 100

static np_waker waker;
static np_actor actors[MANY + 1];

static void set_up(void) {
  np_test_waker(&waker, 1);
  np_actors_init(actors, MANY + 1, &waker);
}

static void tear_down(void) {
  assert_nobody(&waker);
  np_waker_free(&waker);
}

static np_channel *channel_of(uint32_t capacity, bool shared) {
  np_channel *channel = np_channel_open(capacity, NP_BLOCK, shared);
  assert_non_null(channel);
  return channel;
}

static void release(np_channel *channel) {
  np_object_release(&channel->object);
}

static int32_t receive(np_actor *actor, np_channel *channel, bool wait) {
  return np_channel_recv(now(actor), channel, wait);
}

static int32_t send_slot(np_actor *actor, np_channel *channel, bool wait) {
  return np_channel_send_slot(now(actor), channel, wait);
}

static void test_local_close_gives_slots_back(void **state) {
  (void)state;
  set_up();
  np_channel *channel = channel_of(0, false);
  for (int i = 0; i < 5; i++)
    assert_int_equal(send_slot(&actors[i], channel, true), NP_PARKED);
  np_channel_close(now(&actors[MANY]), channel);
  for (int i = 0; i < 5; i++) {
    assert_next(&waker, &actors[i], NP_CLOSED);
    assert_int_equal(waker.front.slot, i); /* For Lua to clear. */
  }
  assert_int_equal(waker.free_count, waker.slot_high);
  release(channel);
  tear_down();
}

static void test_drop_new(void **state) {
  (void)state;
  int64_t before = np_alloc_live();
  set_up();
  np_channel *channel = np_channel_open(2, NP_DROP_NEW, true);
  for (int i = 0; i < 5; i++)
    assert_int_equal(np_test_send(&actors[0], channel, i, true), NP_OK);
  np_value value = np_text("a text of more than fourteen bytes");
  assert_int_equal(np_channel_send(now(&actors[0]), channel, &value, true),
                   NP_OK);
  assert_int_equal(channel->dropped, 4);
  for (int i = 0; i < 2; i++) {
    receive(&actors[0], channel, false);
    assert_true(np_test_received(&waker) == i);
  }
  release(channel);
  np_channel *local = np_channel_open(2, NP_DROP_NEW, false);
  assert_true(send_slot(&actors[0], local, true) >= 0);
  assert_true(send_slot(&actors[0], local, true) >= 0);
  assert_int_equal(send_slot(&actors[0], local, true), NP_DONE);
  assert_int_equal(waker.free_count, waker.slot_high - 2);
  release(local);
  assert_int_equal(waker.free_count, waker.slot_high);
  tear_down();
  assert_int_equal(np_alloc_live(), before);
}

static void test_drop_old(void **state) {
  (void)state;
  set_up();
  np_channel *channel = np_channel_open(3, NP_DROP_OLD, true);
  for (int i = 0; i < 8; i++)
    assert_int_equal(np_test_send(&actors[0], channel, i, true), NP_OK);
  assert_int_equal(channel->dropped, 5);
  for (int i = 5; i < 8; i++) {
    receive(&actors[0], channel, false);
    assert_true(np_test_received(&waker) == i);
  }
  release(channel);
  np_channel *local = np_channel_open(3, NP_DROP_OLD, false);
  for (int i = 0; i < 100; i++)
    assert_true(send_slot(&actors[0], local, true) >= 0);
  assert_true(waker.slot_high <= 4); /* What was dropped is used again. */
  release(local);
  assert_int_equal(waker.free_count, waker.slot_high);
  tear_down();
}

/* A receiver that was claimed by its timeout still stands in the list when the
 * channel overflows: the pushed-out slot must not get lost. */
static void test_drop_old_with_a_lost_claim(void **state) {
  (void)state;
  set_up();
  np_channel *local = np_channel_open(1, NP_DROP_OLD, false);
  assert_int_equal(receive(&actors[0], local, true), NP_PARKED);
  assert_true(np_waiter_claim(&actors[0].waiter));
  actors[0].waiter.code = NP_TIMEOUT;
  for (int i = 0; i < 10; i++)
    assert_true(send_slot(&actors[1], local, true) >= 0);
  assert_int_equal(waker.slot_high - waker.free_count, 1);
  np_wake(&waker, &actors[0].waiter);
  assert_next(&waker, &actors[0], NP_TIMEOUT);
  release(local);
  tear_down();
}

static void test_fail_and_rendezvous_overflow(void **state) {
  (void)state;
  set_up();
  np_channel *fails = np_channel_open(1, NP_FAIL, true);
  assert_int_equal(np_test_send(&actors[0], fails, 1, true), NP_OK);
  assert_int_equal(np_test_send(&actors[0], fails, 2, true), NP_LIMIT);
  assert_int_equal(fails->dropped, 0);
  release(fails);
  const np_overflow drops[] = {NP_DROP_NEW, NP_DROP_OLD};
  for (int i = 0; i < 2; i++) {
    np_channel *channel = np_channel_open(0, drops[i], true);
    np_channel *local = np_channel_open(0, drops[i], false);
    assert_int_equal(np_test_send(&actors[0], channel, 1, true), NP_OK);
    assert_int_equal(channel->dropped, 1);
    assert_int_equal(send_slot(&actors[0], local, true), NP_DONE);
    assert_int_equal(receive(&actors[1], channel, true), NP_PARKED);
    assert_int_equal(np_test_send(&actors[0], channel, 2, true), NP_OK);
    assert_next(&waker, &actors[1], NP_MESSAGE); /* Somebody was there. */
    assert_int_equal(channel->dropped, 1);
    release(channel);
    release(local);
  }
  np_channel *local = np_channel_open(1, NP_FAIL, false);
  assert_true(send_slot(&actors[0], local, true) >= 0);
  assert_int_equal(send_slot(&actors[0], local, true), NP_LIMIT);
  release(local);
  assert_int_equal(waker.free_count, waker.slot_high);
  tear_down();
}

static void test_local_slots_travel_by_number(void **state) {
  (void)state;
  set_up();
  np_channel *channel = channel_of(2, false);
  int32_t a = send_slot(&actors[0], channel, true);
  int32_t b = send_slot(&actors[0], channel, true);
  assert_true(a >= 0 && b >= 0 && a != b);
  assert_int_equal(send_slot(&actors[1], channel, true), NP_PARKED);
  uint32_t c = waker.front.slot;
  assert_true(c != (uint32_t)a && c != (uint32_t)b);
  assert_int_equal(receive(&actors[2], channel, true), a);
  assert_next(&waker, &actors[1], NP_OK);
  assert_int_equal(receive(&actors[2], channel, true), b);
  assert_int_equal(receive(&actors[2], channel, true), c);
  assert_int_equal(receive(&actors[2], channel, true), NP_PARKED);
  int32_t d = send_slot(&actors[0], channel, true);
  assert_next(&waker, &actors[2], d);
  assert_int_equal(waker.free_count, waker.slot_high);
  release(channel);
  tear_down();
}

/* A channel that dies with values in it gives their slots back. */
static void test_local_channel_dies_full(void **state) {
  (void)state;
  set_up();
  for (int round = 0; round < 100; round++) {
    np_channel *channel = channel_of(10, false);
    for (int i = 0; i < 7; i++) send_slot(&actors[0], channel, true);
    for (int i = 0; i < 2; i++) receive(&actors[0], channel, true);
    release(channel);
  }
  assert_true(waker.slot_high <= 7);
  assert_int_equal(waker.free_count, waker.slot_high);
  /* And one that outlives its worker does not. */
  np_channel *channel = channel_of(10, false);
  send_slot(&actors[0], channel, true);
  tear_down();
  release(channel);
}

static void test_canceled_send_gives_its_slot_back(void **state) {
  (void)state;
  set_up();
  np_channel *channel = channel_of(0, false);
  assert_int_equal(send_slot(&actors[0], channel, true), NP_PARKED);
  uint32_t slot = waker.front.slot;
  assert_true(np_waiter_claim(&actors[0].waiter));
  actors[0].waiter.code = NP_CANCELED;
  np_wake(&waker, &actors[0].waiter);
  waker.front.slot = 12345;
  assert_next(&waker, &actors[0], NP_CANCELED);
  assert_int_equal(waker.front.slot, slot);
  assert_int_equal(waker.free_count, waker.slot_high);
  assert_int_equal(receive(&actors[1], channel, false), NP_AGAIN); /* SE-14 */
  release(channel);
  tear_down();
}

static void test_promote(void **state) {
  (void)state;
  int64_t before = np_alloc_live();
  set_up();
  np_channel *channel = channel_of(3, false);
  for (int i = 0; i < 2; i++) { /* Turn the ring a little. */
    send_slot(&actors[0], channel, true);
    receive(&actors[0], channel, true);
  }
  for (int i = 0; i < 6; i++)
    assert_int_equal(send_slot(&actors[i], channel, true) >= 0, i < 3);
  uint32_t slots[6];
  assert_int_equal(np_channel_slots(channel, NULL, 0), 6);
  assert_int_equal(np_channel_slots(channel, slots, 6), 6);
  for (int i = 0; i < 6; i++)
    for (int j = 0; j < i; j++) assert_true(slots[i] != slots[j]);
  np_value messages[6];
  for (int i = 1; i < 5; i++)
    messages[i] = np_text("a text of more than fourteen bytes");
  messages[0] = np_value_number(0);
  messages[5] = np_value_number(5);
  np_channel_promote(&waker, channel, messages);
  assert_true(channel->shared);
  assert_int_equal(waker.free_count, waker.slot_high);
  assert_int_equal(send_slot(&actors[9], channel, true), NP_TRAVELS);
  for (int i = 0; i < 6; i++) {
    assert_int_equal(receive(&actors[9], channel, true), NP_MESSAGE);
    assert_int_equal(waker.front.received.tag,
                     i == 0 || i == 5 ? NP_NUMBER : NP_STRING);
    np_value_drop(&waker.front.received);
    if (i < 3) assert_next(&waker, &actors[i + 3], NP_OK);
  }
  release(channel);
  tear_down();
  assert_int_equal(np_alloc_live(), before);
}

/* Receivers that parked before get messages; a parked sender that gives up
 * after drops its message. */
static void test_promote_with_waiters(void **state) {
  (void)state;
  int64_t before = np_alloc_live();
  set_up();
  np_channel *channel = channel_of(0, false);
  assert_int_equal(receive(&actors[0], channel, true), NP_PARKED);
  np_channel_promote(&waker, channel, NULL);
  assert_int_equal(np_test_send(&actors[1], channel, 3, true), NP_OK);
  assert_next(&waker, &actors[0], NP_MESSAGE);
  release(channel);

  channel = channel_of(0, false);
  assert_int_equal(send_slot(&actors[0], channel, true), NP_PARKED);
  np_value message = np_text("a text of more than fourteen bytes");
  np_channel_promote(&waker, channel, &message);
  assert_true(np_waiter_claim(&actors[0].waiter));
  actors[0].waiter.code = NP_TIMEOUT;
  np_wake(&waker, &actors[0].waiter);
  assert_next(&waker, &actors[0], NP_TIMEOUT);
  assert_int_equal(waker.free_count, waker.slot_high);
  release(channel);
  tear_down();
  assert_int_equal(np_alloc_live(), before);
}

/* A receiver whose timeout has won is passed over; the next in line is served,
 * and the channel may die before the first one's worker comes. */
static void test_lost_claim_outlives_the_channel(void **state) {
  (void)state;
  int64_t before = np_alloc_live();
  for (int sends = 0; sends < 2; sends++) {
    set_up();
    np_channel *channel = channel_of(0, true);
    for (int i = 0; i < 2; i++)
      assert_int_equal(sends ? np_test_send(&actors[i], channel, i, true)
                             : receive(&actors[i], channel, true),
                       NP_PARKED);
    assert_true(np_waiter_claim(&actors[0].waiter));
    actors[0].waiter.code = NP_TIMEOUT;
    assert_int_equal(sends ? receive(&actors[2], channel, false)
                           : np_test_send(&actors[2], channel, 7, false),
                     sends ? NP_MESSAGE : NP_OK);
    release(channel); /* The last reference; actor 0 has yet to come. */
    assert_next(&waker, &actors[1], sends ? NP_OK : NP_MESSAGE);
    np_wake(&waker, &actors[0].waiter);
    assert_next(&waker, &actors[0], NP_TIMEOUT);
    tear_down();
    assert_int_equal(np_alloc_live(), before);
  }
}

static void test_lost_claim_and_close(void **state) {
  (void)state;
  int64_t before = np_alloc_live();
  set_up();
  np_channel *channel = channel_of(0, true);
  np_value value = np_text("a text of more than fourteen bytes");
  assert_int_equal(np_channel_send(now(&actors[0]), channel, &value, true),
                   NP_PARKED);
  assert_int_equal(value.tag, NP_NOTHING);
  assert_true(np_waiter_claim(&actors[0].waiter));
  actors[0].waiter.code = NP_CANCELED;
  assert_int_equal(np_channel_close(now(&actors[1]), channel), NP_OK);
  release(channel);
  np_wake(&waker, &actors[0].waiter);
  assert_next(&waker, &actors[0], NP_CANCELED);
  tear_down();
  assert_int_equal(np_alloc_live(), before);
}

/* A send that parks in the very moment its task is canceled takes the value
 * with it: its caller must not drop it again. */
static void test_canceled_while_parking(void **state) {
  (void)state;
  int64_t before = np_alloc_live();
  set_up();
  np_channel *channel = channel_of(0, true);
  atomic_store(&actors[0].waiter.canceled, true);
  np_value value = np_text("a text of more than fourteen bytes");
  np_waker *me = now(&actors[0]);
  assert_int_equal(np_channel_send(me, channel, &value, true), NP_CANCELED);
  assert_int_equal(channel->object.enlisted, 0);
  np_value_drop(&value);
  release(channel);
  tear_down();
  assert_int_equal(np_alloc_live(), before);
}

/* NP_HANDLE in the ring and with a parked sender goes with the channel. */
static void test_handles_go_with_the_channel(void **state) {
  (void)state;
  int64_t before = np_alloc_live();
  set_up();
  np_channel *outer = channel_of(1, true);
  for (int i = 0; i < 2; i++) {
    np_value value = {.tag = NP_HANDLE,
                      .as.object = &channel_of(1, true)->object};
    assert_int_equal(np_channel_send(now(&actors[i]), outer, &value, true),
                     i == 0 ? NP_OK : NP_PARKED);
  }
  release(outer);
  assert_true(np_waiter_claim(&actors[1].waiter));
  actors[1].waiter.code = NP_CANCELED;
  np_wake(&waker, &actors[1].waiter);
  assert_next(&waker, &actors[1], NP_CANCELED);
  tear_down();
  assert_int_equal(np_alloc_live(), before);
}

int main(void) {
  alarm(110);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_local_close_gives_slots_back),
      cmocka_unit_test(test_drop_new),
      cmocka_unit_test(test_drop_old),
      cmocka_unit_test(test_drop_old_with_a_lost_claim),
      cmocka_unit_test(test_fail_and_rendezvous_overflow),
      cmocka_unit_test(test_local_slots_travel_by_number),
      cmocka_unit_test(test_local_channel_dies_full),
      cmocka_unit_test(test_canceled_send_gives_its_slot_back),
      cmocka_unit_test(test_promote),
      cmocka_unit_test(test_promote_with_waiters),
      cmocka_unit_test(test_lost_claim_outlives_the_channel),
      cmocka_unit_test(test_lost_claim_and_close),
      cmocka_unit_test(test_canceled_while_parking),
      cmocka_unit_test(test_handles_go_with_the_channel),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

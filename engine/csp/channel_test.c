/* Conformance rows CH-01..CH-18 as far as one worker can show them; the tests
 * of many workers are in sched/stress_test.c. */
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

/* CH-01, CH-02, CH-13 for every capacity. */
static void test_capacities(void **state) {
  (void)state;
  for (uint32_t capacity = 0; capacity < 200; capacity++) {
    set_up();
    np_channel *channel = channel_of(capacity, true);
    assert_int_equal(receive(&actors[0], channel, false), NP_AGAIN);
    assert_int_equal(receive(&actors[0], channel, true), NP_PARKED);
    assert_int_equal(np_test_send(&actors[1], channel, 7, false), NP_OK);
    assert_next(&waker, &actors[0], NP_MESSAGE);
    assert_true(np_test_received(&waker) == 7);
    assert_nobody(&waker); /* Once. */

    for (uint32_t i = 0; i < capacity; i++) {
      assert_int_equal(np_channel_len(channel), i);
      assert_int_equal(np_test_send(&actors[1], channel, i, true), NP_OK);
    }
    assert_int_equal(np_test_send(&actors[1], channel, 0, false), NP_AGAIN);
    assert_int_equal(np_test_send(&actors[1], channel, capacity, true),
                     NP_PARKED);
    assert_int_equal(np_channel_len(channel), capacity);
    assert_int_equal(receive(&actors[2], channel, false), NP_MESSAGE);
    assert_true(np_test_received(&waker) == 0);
    assert_next(&waker, &actors[1], NP_OK);
    release(channel);
    tear_down();
  }
}

/* CH-03 */
static void test_drains_after_close(void **state) {
  (void)state;
  for (uint32_t capacity = 0; capacity < 20; capacity++) {
    set_up();
    np_channel *channel = channel_of(capacity, true);
    for (uint32_t i = 0; i < capacity; i++)
      np_test_send(&actors[0], channel, i, false);
    assert_int_equal(np_channel_close(now(&actors[0]), channel), NP_OK);
    assert_true(np_channel_is_closed(channel));
    for (uint32_t i = 0; i < capacity; i++) {
      assert_int_equal(receive(&actors[0], channel, true), NP_MESSAGE);
      assert_true(np_test_received(&waker) == i);
    }
    for (int i = 0; i < 3; i++) {
      assert_int_equal(receive(&actors[0], channel, true), NP_CLOSED);
      assert_int_equal(receive(&actors[0], channel, false), NP_CLOSED);
    }
    release(channel);
    tear_down();
  }
}

/* CH-04 */
static void test_zero_like_values(void **state) {
  (void)state;
  const np_value values[] = {{.tag = NP_FALSE},
                             {.tag = NP_NULL},
                             {.tag = NP_NUMBER, .as.number = 0},
                             {.tag = NP_SHORT, .length = 0}};
  for (uint32_t capacity = 0; capacity < 2; capacity++) {
    set_up();
    np_channel *channel = channel_of(capacity, true);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
      np_value value = values[i];
      assert_int_equal(receive(&actors[0], channel, true), NP_PARKED);
      assert_int_equal(np_channel_send(now(&actors[1]), channel, &value, true),
                       NP_OK);
      assert_next(&waker, &actors[0], NP_MESSAGE);
      assert_memory_equal(&waker.front.received, &values[i], sizeof value);
    }
    release(channel);
    tear_down();
  }
}

/* CH-05 */
static void test_close_with_parked_receivers(void **state) {
  (void)state;
  for (int local = 0; local < 2; local++) {
    set_up();
    np_channel *channel = channel_of(3, local == 0);
    for (int i = 0; i < MANY; i++)
      assert_int_equal(receive(&actors[i], channel, true), NP_PARKED);
    np_channel_close(now(&actors[MANY]), channel);
    for (int i = 0; i < MANY; i++) assert_next(&waker, &actors[i], NP_CLOSED);
    assert_int_equal(channel->object.enlisted, 0);
    release(channel);
    tear_down();
  }
}

/* CH-06 */
static void test_receivers_first_come_first_served(void **state) {
  (void)state;
  for (uint32_t capacity = 0; capacity < 2; capacity++) {
    set_up();
    np_channel *channel = channel_of(capacity, true);
    for (int i = 0; i < MANY; i++)
      assert_int_equal(receive(&actors[i], channel, true), NP_PARKED);
    for (int i = 0; i < MANY; i++)
      assert_int_equal(np_test_send(&actors[MANY], channel, i, true), NP_OK);
    for (int i = 0; i < MANY; i++) {
      assert_next(&waker, &actors[i], NP_MESSAGE);
      assert_true(np_test_received(&waker) == i);
    }
    release(channel);
    tear_down();
  }
}

/* CH-07 */
static void test_senders_first_come_first_served(void **state) {
  (void)state;
  set_up();
  np_channel *channel = channel_of(0, true);
  for (int i = 0; i < MANY; i++)
    assert_int_equal(np_test_send(&actors[i], channel, i, true), NP_PARKED);
  for (int i = 0; i < MANY; i++) {
    assert_int_equal(receive(&actors[MANY], channel, true), NP_MESSAGE);
    assert_true(np_test_received(&waker) == i);
    assert_next(&waker, &actors[i], NP_OK);
  }
  release(channel);
  tear_down();
}

/* CH-08 */
static void test_parked_senders_refill(void **state) {
  (void)state;
  set_up();
  np_channel *channel = channel_of(3, true);
  for (int i = 0; i < 10; i++)
    assert_int_equal(np_test_send(&actors[i], channel, i, true),
                     i < 3 ? NP_OK : NP_PARKED);
  for (int i = 0; i < 10; i++) {
    assert_int_equal(receive(&actors[MANY], channel, true), NP_MESSAGE);
    assert_true(np_test_received(&waker) == i);
    assert_int_equal(np_channel_len(channel), i < 7 ? 3 : 9 - i);
    if (i < 7) assert_next(&waker, &actors[i + 3], NP_OK);
  }
  release(channel);
  tear_down();
}

/* CH-09; the payloads of parked senders are lost, and not leaked. */
static void test_close_with_parked_senders(void **state) {
  (void)state;
  int64_t before = np_alloc_live();
  set_up();
  np_channel *channel = channel_of(2, true);
  for (int i = 0; i < 7; i++) {
    np_value value = np_text("a text of more than fourteen bytes");
    assert_int_equal(np_channel_send(now(&actors[i]), channel, &value, true),
                     i < 2 ? NP_OK : NP_PARKED);
  }
  np_channel_close(now(&actors[MANY]), channel);
  for (int i = 2; i < 7; i++) assert_next(&waker, &actors[i], NP_CLOSED);
  for (int i = 0; i < 2; i++) {
    assert_int_equal(receive(&actors[MANY], channel, true), NP_MESSAGE);
    np_value_drop(&waker.front.received);
  }
  assert_int_equal(receive(&actors[MANY], channel, true), NP_CLOSED);
  release(channel);
  tear_down();
  assert_int_equal(np_alloc_live(), before);
}

/* CH-10, CH-11 */
static void test_misuse_after_close(void **state) {
  (void)state;
  set_up();
  np_channel *channel = channel_of(1, true), *local = channel_of(1, false);
  np_channel_close(now(&actors[0]), channel);
  np_channel_close(now(&actors[0]), local);
  for (int i = 0; i < 2; i++) {
    assert_int_equal(np_test_send(&actors[0], channel, 1, true), NP_CLOSED);
    assert_int_equal(np_test_send(&actors[0], channel, 1, false), NP_CLOSED);
    assert_int_equal(send_slot(&actors[0], local, true), NP_CLOSED);
    assert_int_equal(send_slot(&actors[0], local, false), NP_CLOSED);
    assert_int_equal(np_channel_close(now(&actors[0]), channel), NP_CLOSED);
    assert_int_equal(receive(&actors[0], channel, true), NP_CLOSED);
  }
  assert_int_equal(waker.free_count, waker.slot_high);
  release(channel);
  release(local);
  tear_down();
}

/* CH-14 */
static void test_absurd_capacity(void **state) {
  (void)state;
  int64_t before = np_alloc_live();
  assert_null(np_channel_open(NP_CAPACITY_MAX + 1, NP_BLOCK, false));
  assert_null(np_channel_open(UINT32_MAX, NP_BLOCK, false));
  np_channel *channel = np_channel_open(NP_CAPACITY_MAX, NP_BLOCK, true);
  assert_non_null(channel); /* Memory comes with the values. */
  release(channel);
  assert_int_equal(np_alloc_live(), before);
}

/* The ring grows, wraps round and keeps its order. */
static void test_ring_wraps_while_growing(void **state) {
  (void)state;
  set_up();
  np_channel *channel = channel_of(1000, true);
  double next_in = 0, next_out = 0;
  np_random random;
  np_random_seed(&random, 9);
  while (next_in < 20000) {
    for (uint32_t i = np_random_below(&random, 700); i != 0; i--) {
      int32_t status = np_test_send(&actors[0], channel, next_in, false);
      if (status == NP_AGAIN) break;
      assert_int_equal(status, NP_OK);
      next_in++;
    }
    for (uint32_t i = np_random_below(&random, 600); i != 0; i--) {
      if (receive(&actors[0], channel, false) == NP_AGAIN) break;
      assert_true(np_test_received(&waker) == next_out++);
    }
    assert_int_equal(np_channel_len(channel), (uint32_t)(next_in - next_out));
  }
  release(channel);
  tear_down();
}

static void test_no_memory_for_the_ring(void **state) {
  (void)state;
  int64_t before = np_alloc_live();
  set_up();
  np_alloc_fail_at(1);
  assert_null(np_channel_open(4, NP_BLOCK, true));
  np_channel *channel = channel_of(4, true), *local = channel_of(4, false);
  np_value value = np_text("a text of more than fourteen bytes");
  np_alloc_fail_at(1);
  assert_int_equal(np_channel_send(now(&actors[0]), channel, &value, true),
                   NP_NOMEM);
  assert_int_equal(value.tag, NP_STRING); /* Still the caller's. */
  assert_int_equal(np_channel_send(now(&actors[0]), channel, &value, true),
                   NP_OK);
  np_alloc_fail_at(1); /* The slot table's. */
  assert_int_equal(send_slot(&actors[0], local, true), NP_NOMEM);
  np_alloc_fail_at(2); /* The ring's. */
  assert_int_equal(send_slot(&actors[0], local, true), NP_NOMEM);
  assert_int_equal(waker.free_count, waker.slot_high);
  assert_int_equal(send_slot(&actors[0], local, true), 0);
  release(channel);
  release(local);
  tear_down();
  assert_int_equal(np_alloc_live(), before);
}

int main(void) {
  alarm(110);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_capacities),
      cmocka_unit_test(test_drains_after_close),
      cmocka_unit_test(test_zero_like_values),
      cmocka_unit_test(test_close_with_parked_receivers),
      cmocka_unit_test(test_receivers_first_come_first_served),
      cmocka_unit_test(test_senders_first_come_first_served),
      cmocka_unit_test(test_parked_senders_refill),
      cmocka_unit_test(test_close_with_parked_senders),
      cmocka_unit_test(test_misuse_after_close),
      cmocka_unit_test(test_absurd_capacity),
      cmocka_unit_test(test_ring_wraps_while_growing),
      cmocka_unit_test(test_no_memory_for_the_ring),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

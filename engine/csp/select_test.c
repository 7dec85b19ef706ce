/* Conformance rows SE-01..SE-16 as far as one worker can show them. */
#include <pthread.h>

#include "csp/context.h"
#include "csp/testing.h"

static np_waker waker;
static np_actor actors[32];

static void set_up(void) {
  np_test_waker(&waker, 11);
  np_actors_init(actors, 32, &waker);
}

static void tear_down(void) {
  assert_nobody(&waker);
  np_waker_free(&waker);
}

static np_channel *channel_of(uint32_t capacity) {
  return np_channel_open(capacity, NP_BLOCK, true);
}

static void release(np_channel *channel) {
  np_object_release(&channel->object);
}

static np_select *select_of(uint32_t count) {
  np_select *select = np_select_open(count);
  assert_non_null(select);
  return select;
}

static void receives(np_select *select, uint32_t at, np_channel *channel) {
  np_select_set(select, at, channel != NULL ? &channel->object : NULL, false);
}

static void sends(np_select *select, uint32_t at, np_channel *channel,
                  double number) {
  np_select_set(select, at, &channel->object, true);
  select->cases[at].value = np_value_number(number);
}

static int32_t run(np_actor *actor, np_select *select, bool wait) {
  return np_select_run(now(actor), select, wait);
}

/* SE-01, SE-02 */
static void test_nothing_to_wait_for(void **state) {
  (void)state;
  set_up();
  np_select *none = select_of(0), *off = select_of(3);
  assert_int_equal(run(&actors[0], none, false), NP_AGAIN);
  assert_int_equal(run(&actors[0], none, true), NP_PARKED);
  assert_int_equal(run(&actors[1], off, false), NP_AGAIN);
  assert_int_equal(run(&actors[1], off, true), NP_PARKED);
  for (int i = 0; i < 2; i++) {
    np_waiter_claim(&actors[i].waiter);
    actors[i].waiter.code = NP_CANCELED;
    np_wake(&waker, &actors[i].waiter);
    assert_next(&waker, &actors[i], NP_CANCELED);
  }
  np_channel *channel = channel_of(1);
  receives(off, 1, channel);
  np_test_send(&actors[0], channel, 4, true);
  assert_int_equal(run(&actors[1], off, true), NP_MESSAGE);
  assert_int_equal(waker.front.index, 2);
  np_select_free(none);
  np_select_free(off);
  np_select_free(NULL);
  release(channel);
  tear_down();
}

/* SE-03, SE-04 */
static void test_default(void **state) {
  (void)state;
  set_up();
  np_channel *full = channel_of(1), *empty = channel_of(1);
  np_test_send(&actors[0], full, 1, true);
  np_select *select = select_of(2);
  receives(select, 0, empty);
  sends(select, 1, full, 2);
  assert_int_equal(run(&actors[0], select, false), NP_AGAIN);
  assert_int_equal(full->object.enlisted, 0);
  assert_int_equal(np_channel_len(full), 1);
  for (uint32_t at = 0; at < 2; at++) {
    receives(select, at, full);
    receives(select, 1 - at, empty);
    assert_int_equal(run(&actors[0], select, false), NP_MESSAGE);
    assert_int_equal(waker.front.index, at + 1);
    np_test_send(&actors[0], full, 1, true);
  }
  np_select_free(select);
  release(full);
  release(empty);
  tear_down();
}

/* SE-05 */
static void test_closed(void **state) {
  (void)state;
  int64_t before = np_alloc_live();
  set_up();
  np_channel *channel = channel_of(0);
  np_channel_close(now(&actors[0]), channel);
  np_select *select = select_of(1);
  receives(select, 0, channel);
  assert_int_equal(run(&actors[0], select, false), NP_CLOSED);
  np_select_set(select, 0, &channel->object, true);
  select->cases[0].value = np_text("a text of more than fourteen bytes");
  assert_int_equal(run(&actors[0], select, true), NP_CLOSED);
  assert_int_equal(waker.front.index, 1);
  np_select_free(select);
  release(channel);

  /* Parked, then closed: the case says so, and its value is dropped. */
  channel = channel_of(0);
  np_channel *other = channel_of(0);
  select = select_of(2);
  for (uint32_t i = 0; i < 2; i++) {
    np_select_set(select, i, i == 0 ? &other->object : &channel->object, true);
    select->cases[i].value = np_text("a text of more than fourteen bytes");
  }
  assert_int_equal(run(&actors[0], select, true), NP_PARKED);
  np_channel_close(now(&actors[1]), channel);
  assert_next(&waker, &actors[0], NP_CLOSED);
  assert_int_equal(waker.front.index, 2);
  np_select_free(select);
  release(channel);
  release(other);
  tear_down();
  assert_int_equal(np_alloc_live(), before);
}

/* SE-07: two ready, two that never are in front: 5,000 +- 500 each. */
static void test_uniform(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 5; seed++) {
    set_up();
    np_random_seed(&waker.random, seed);
    np_channel *never[2] = {channel_of(0), channel_of(0)};
    np_channel *ready[2] = {channel_of(1), channel_of(1)};
    np_select *select = select_of(4);
    for (uint32_t i = 0; i < 2; i++) {
      receives(select, i, never[i]);
      receives(select, i + 2, ready[i]);
      np_test_send(&actors[0], ready[i], i, true);
    }
    int counts[2] = {0, 0};
    for (int round = 0; round < 10000; round++) {
      assert_int_equal(run(&actors[0], select, true), NP_MESSAGE);
      int at = waker.front.index - 3;
      assert_in_range(at, 0, 1);
      counts[at]++;
      np_test_send(&actors[0], ready[at], 0, true);
    }
    assert_in_range(counts[0], 4500, 5500);
    assert_in_range(counts[1], 4500, 5500);
    np_select_free(select);
    for (int i = 0; i < 2; i++) {
      release(never[i]);
      release(ready[i]);
    }
    tear_down();
  }
}

/* SE-08 */
static void test_two_sends_to_one(void **state) {
  (void)state;
  for (uint32_t capacity = 0; capacity <= 100; capacity += 100) {
    set_up();
    np_channel *channel = channel_of(capacity);
    np_select *select = select_of(2);
    int ones = 0;
    for (int i = 0; i < 100; i++) {
      sends(select, 0, channel, 1);
      sends(select, 1, channel, 0);
      if (capacity == 0) np_channel_recv(now(&actors[1]), channel, true);
      assert_int_equal(run(&actors[0], select, true), NP_OK);
      if (capacity == 0) assert_next(&waker, &actors[1], NP_MESSAGE);
      if (capacity != 0)
        assert_int_equal(np_channel_recv(now(&actors[1]), channel, true),
                         NP_MESSAGE);
      ones += np_test_received(&waker) == 1;
    }
    assert_in_range(ones, 11, 89);
    np_select_free(select);
    release(channel);
    tear_down();
  }
}

/* SE-09: the loser's registration is gone, the next in line is served. */
static void test_losers_leave(void **state) {
  (void)state;
  set_up();
  np_channel *a = channel_of(0), *b = channel_of(0);
  np_select *select = select_of(3);
  receives(select, 0, a);
  receives(select, 1, b);
  sends(select, 2, b, 9);
  assert_int_equal(run(&actors[0], select, true), NP_PARKED);
  assert_int_equal(np_channel_recv(now(&actors[1]), b, true), NP_MESSAGE);
  assert_next(&waker, &actors[0], NP_OK);
  assert_int_equal(waker.front.index, 3);
  assert_int_equal(a->object.enlisted + b->object.enlisted, 0);
  assert_true(np_list_empty(&b->object.waits) && np_list_empty(&b->senders));

  receives(select, 2, NULL);
  assert_int_equal(run(&actors[0], select, true), NP_PARKED);
  assert_int_equal(np_channel_recv(now(&actors[2]), b, true), NP_PARKED);
  assert_int_equal(np_test_send(&actors[1], a, 1, true), NP_OK);
  /* Its wait on b still stands, but it is nobody's to serve. */
  assert_int_equal(np_test_send(&actors[1], b, 2, false), NP_OK);
  assert_next(&waker, &actors[0], NP_MESSAGE);
  assert_int_equal(waker.front.index, 1);
  assert_next(&waker, &actors[2], NP_MESSAGE);
  assert_true(np_test_received(&waker) == 2);
  assert_int_equal(np_test_send(&actors[1], b, 3, false), NP_AGAIN);
  assert_int_equal(np_channel_recv(now(&actors[1]), b, false), NP_AGAIN);
  np_select_free(select);
  release(a);
  release(b);
  tear_down();
}

/* SE-10: a quiet loser gathers nothing. */
static void test_quiet_loser(void **state) {
  (void)state;
  set_up();
  np_channel *busy = channel_of(0), *quiet = channel_of(0);
  np_select *select = select_of(2);
  receives(select, 0, quiet);
  receives(select, 1, busy);
  int64_t before = np_alloc_live();
  for (int i = 0; i < 100000; i++) {
    assert_int_equal(run(&actors[0], select, true), NP_PARKED);
    np_test_send(&actors[1], busy, i, true);
    assert_next(&waker, &actors[0], NP_MESSAGE);
  }
  assert_int_equal(np_alloc_live(), before);
  assert_int_equal(quiet->object.enlisted, 0);
  np_select_free(select);
  release(busy);
  release(quiet);
  tear_down();
}

/* SE-11: single-case selects against each other and the plain operations. */
static void test_pairings(void **state) {
  (void)state;
  for (int sender = 0; sender < 2; sender++)
    for (int receiver = 0; receiver < 2; receiver++)
      for (int first = 0; first < 2; first++) {
        set_up();
        np_channel *channel = channel_of(0);
        np_select *out = select_of(1), *in = select_of(1);
        for (int turn = 0; turn < 2; turn++) {
          bool is_sender = turn == first;
          np_actor *actor = &actors[is_sender ? 0 : 1];
          if (is_sender && sender) sends(out, 0, channel, 6);
          if (!is_sender && receiver) receives(in, 0, channel);
          int32_t status =
              is_sender
                  ? (sender ? run(actor, out, true)
                            : np_test_send(actor, channel, 6, true))
                  : (receiver ? run(actor, in, true)
                              : np_channel_recv(now(actor), channel, true));
          int32_t wanted = is_sender ? NP_OK : NP_MESSAGE;
          assert_int_equal(status, turn == 0 ? NP_PARKED : wanted);
        }
        np_actor *woken = np_actor_next(&waker);
        assert_ptr_equal(woken, &actors[first == 0 ? 0 : 1]);
        assert_true(np_test_received(&waker) == 6);
        np_select_free(out);
        np_select_free(in);
        release(channel);
        tear_down();
      }
}

/* SE-12, and two such tasks that do talk to each other. */
static void test_no_self_talk(void **state) {
  (void)state;
  set_up();
  np_channel *channel = channel_of(0);
  np_select *select[2] = {select_of(2), select_of(2)};
  for (int i = 0; i < 2; i++) {
    sends(select[i], 0, channel, i);
    receives(select[i], 1, channel);
  }
  assert_int_equal(run(&actors[0], select[0], true), NP_PARKED);
  assert_nobody(&waker);
  int32_t status = run(&actors[1], select[1], true);
  int index = waker.front.index;
  assert_true(status == NP_OK || status == NP_MESSAGE);
  assert_ptr_equal(np_actor_next(&waker), &actors[0]);
  assert_int_equal(waker.front.index, 3 - index);
  assert_int_equal(channel->object.enlisted, 0);
  for (int i = 0; i < 2; i++) np_select_free(select[i]);
  release(channel);
  tear_down();
}

/* SE-13 */
static void test_with_a_time_limit(void **state) {
  (void)state;
  set_up();
  np_timers clock;
  np_timers_init(&clock, true, 0);
  np_channel *channel = channel_of(0);
  np_select *select = select_of(1);
  receives(select, 0, channel);
  for (int sent = 0; sent < 2; sent++) {
    waker.timers = &clock;
    int32_t status = run(&actors[0], select, true);
    assert_int_equal(np_waiter_limit(&waker, status, 1e-6), NP_PARKED);
    np_timers_fire(&clock, &waker, clock.now + 999);
    assert_int_equal(waker.ready_count, 0);
    if (sent) np_test_send(&actors[1], channel, 1, true);
    np_timers_fire(&clock, &waker, clock.now + 1000); /* Both are due. */
    assert_next(&waker, &actors[0], sent ? NP_MESSAGE : NP_TIMEOUT);
    assert_nobody(&waker);
    assert_int_equal(channel->object.enlisted, 0);
  }
  np_select_free(select);
  release(channel);
  np_timers_free(&clock);
  tear_down();
}

int main(void) {
  alarm(110);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_nothing_to_wait_for),
      cmocka_unit_test(test_default),
      cmocka_unit_test(test_closed),
      cmocka_unit_test(test_uniform),
      cmocka_unit_test(test_two_sends_to_one),
      cmocka_unit_test(test_losers_leave),
      cmocka_unit_test(test_quiet_loser),
      cmocka_unit_test(test_pairings),
      cmocka_unit_test(test_no_self_talk),
      cmocka_unit_test(test_with_a_time_limit),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

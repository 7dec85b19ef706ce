/* Many cases, cases that are no shared channel, and what a select gives back.
 */
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

/* SE-14: with a context as a case; what was not sent is not delivered later. */
static void test_with_a_context(void **state) {
  (void)state;
  int64_t before = np_alloc_live();
  set_up();
  np_channel *out = channel_of(0);
  np_context *done = np_context_open(&waker, NULL);
  np_select *select = select_of(2);
  np_select_set(select, 0, &out->object, true);
  select->cases[0].value = np_text("a text of more than fourteen bytes");
  np_select_set(select, 1, &done->object, false);
  assert_int_equal(run(&actors[0], select, true), NP_PARKED);
  np_context_end(now(&actors[1]), done, NP_CANCELED, (np_value){0});
  assert_next(&waker, &actors[0], NP_OK);
  assert_int_equal(waker.front.index, 2);
  assert_int_equal(np_channel_recv(now(&actors[1]), out, false), NP_AGAIN);
  np_select_set(select, 0, NULL, false);
  assert_int_equal(run(&actors[0], select, true), NP_OK); /* Ended: ready. */
  assert_int_equal(waker.front.index, 2);
  np_select_free(select);
  release(out);
  np_object_release(&done->object);
  tear_down();
  assert_int_equal(np_alloc_live(), before);
}

/* SE-15 */
static void test_many_cases(void **state) {
  (void)state;
  const uint32_t counts[] = {1, 2, 8, 64, 1024};
  for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
    uint32_t count = counts[c];
    set_up();
    np_channel **channels = np_alloc(count * sizeof *channels);
    np_select *select = select_of(count);
    for (uint32_t i = 0; i < count; i++) {
      channels[i] = channel_of(1);
      receives(select, i, channels[i]);
    }
    np_random random;
    np_random_seed(&random, 4);
    for (int round = 0; round < 50; round++) {
      uint32_t at = np_random_below(&random, count);
      bool parks = round % 2 != 0;
      if (parks) assert_int_equal(run(&actors[0], select, true), NP_PARKED);
      np_test_send(&actors[1], channels[at], at, true);
      if (parks)
        assert_next(&waker, &actors[0], NP_MESSAGE);
      else
        assert_int_equal(run(&actors[0], select, true), NP_MESSAGE);
      assert_int_equal(waker.front.index, at + 1);
      assert_true(np_test_received(&waker) == at);
    }
    for (uint32_t i = 0; i < count; i++) {
      assert_int_equal(channels[i]->object.enlisted, 0);
      release(channels[i]);
    }
    np_select_free(select);
    np_free(channels);
    tear_down();
  }
  assert_null(np_select_open(NP_CASES_MAX + 1));
}

/* The same channel many times: it is locked once, and left everywhere. */
static void test_duplicates(void **state) {
  (void)state;
  set_up();
  np_channel *a = channel_of(0), *b = channel_of(0);
  np_select *select = select_of(9);
  for (uint32_t i = 0; i < 9; i++) receives(select, i, i % 3 != 0 ? a : b);
  assert_int_equal(run(&actors[0], select, true), NP_PARKED);
  assert_int_equal(a->object.enlisted, 6);
  assert_int_equal(atomic_load(&a->object.lock.state), 0);
  assert_int_equal(atomic_load(&b->object.lock.state), 0);
  np_test_send(&actors[1], a, 1, true);
  assert_next(&waker, &actors[0], NP_MESSAGE);
  assert_int_not_equal(waker.front.index % 3, 1); /* One that is on a. */
  assert_int_equal(a->object.enlisted + b->object.enlisted, 0);
  int chosen[9] = {0};
  for (int i = 0; i < 9000; i++) {
    np_value value = np_value_number(1);
    assert_int_equal(np_channel_send(now(&actors[1]), a, &value, true),
                     NP_PARKED);
    assert_int_equal(run(&actors[0], select, true), NP_MESSAGE);
    chosen[waker.front.index - 1]++;
    assert_next(&waker, &actors[1], NP_OK);
  }
  for (int i = 0; i < 9; i++)
    if (i % 3 != 0)
      assert_in_range(chosen[i], 1200, 1800);
    else
      assert_int_equal(chosen[i], 0);
  np_select_free(select);
  release(a);
  release(b);
  tear_down();
}

/* Send and receive cases on local channels: their slots come and go. */
static void test_local_channels(void **state) {
  (void)state;
  set_up();
  np_channel *a = np_channel_open(0, NP_BLOCK, false);
  np_channel *b = np_channel_open(1, NP_BLOCK, false);
  np_select *select = select_of(2);
  np_select_set(select, 0, &a->object, true);
  np_select_set(select, 1, &b->object, true);
  assert_int_equal(run(&actors[0], select, true), NP_OK); /* Room in b. */
  assert_int_equal(waker.front.index, 2);
  uint32_t in_b = waker.front.slot;
  assert_int_equal(run(&actors[0], select, true), NP_PARKED);
  uint32_t slots[2] = {np_select_slot(select, 0), np_select_slot(select, 1)};
  assert_true(slots[0] != NP_NO_SLOT && slots[1] != NP_NO_SLOT);
  assert_true(slots[0] != slots[1] && slots[0] != in_b && slots[1] != in_b);
  assert_int_equal(np_channel_recv(now(&actors[1]), b, true), in_b);
  assert_next(&waker, &actors[0], NP_OK); /* It refilled b. */
  assert_int_equal(waker.front.index, 2);
  assert_int_equal(np_select_left(select, 0), slots[0]);
  assert_int_equal(np_select_left(select, 1), NP_NO_SLOT);
  assert_int_equal(np_channel_recv(now(&actors[1]), b, true), slots[1]);
  assert_int_equal(waker.free_count, waker.slot_high);
  np_select_free(select);
  np_object_release(&a->object);
  np_object_release(&b->object);
  tear_down();
}

/* A waiter whose claim is lost is not "ready" for a select. */
static void test_lost_claims_are_not_ready(void **state) {
  (void)state;
  set_up();
  np_channel *channel = channel_of(0);
  assert_int_equal(np_channel_recv(now(&actors[0]), channel, true), NP_PARKED);
  assert_true(np_waiter_claim(&actors[0].waiter));
  actors[0].waiter.code = NP_TIMEOUT;
  np_select *select = select_of(1);
  sends(select, 0, channel, 5);
  assert_int_equal(run(&actors[1], select, false), NP_AGAIN);
  np_wake(&waker, &actors[0].waiter);
  assert_next(&waker, &actors[0], NP_TIMEOUT);
  np_select_free(select);
  release(channel);
  tear_down();
}

static void test_overflow_cases(void **state) {
  (void)state;
  set_up();
  np_channel *drops = np_channel_open(0, NP_DROP_NEW, true);
  np_channel *fails = np_channel_open(0, NP_FAIL, true);
  np_select *select = select_of(1);
  sends(select, 0, drops, 1);
  assert_int_equal(run(&actors[0], select, true), NP_OK);
  assert_int_equal(drops->dropped, 1);
  sends(select, 0, fails, 1);
  assert_int_equal(run(&actors[0], select, true), NP_LIMIT);
  np_select_free(select);
  release(drops);
  release(fails);
  tear_down();
}

/* Each allocation in turn; slots and messages come back. */
static void test_no_memory(void **state) {
  (void)state;
  int64_t before = np_alloc_live();
  for (int n = 1; n <= 4; n++) {
    np_alloc_fail_at(n);
    assert_null(np_select_open(3));
  }
  assert_int_equal(np_alloc_fail_at(0), 0);
  assert_int_equal(np_alloc_live(), before);
  set_up();
  np_channel *shared = channel_of(0);
  np_channel *local = np_channel_open(0, NP_BLOCK, false);
  np_select *select = select_of(2);
  np_select_set(select, 0, &shared->object, true);
  select->cases[0].value = np_text("a text of more than fourteen bytes");
  np_select_set(select, 1, &local->object, true);
  np_alloc_fail_at(1); /* The slot table's. */
  assert_int_equal(run(&actors[0], select, true), NP_NOMEM);
  assert_int_equal(shared->object.enlisted, 0);
  np_select_free(select);
  release(shared);
  release(local);
  tear_down();
  assert_int_equal(np_alloc_live(), before);
}

int main(void) {
  alarm(110);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_with_a_context),
      cmocka_unit_test(test_many_cases),
      cmocka_unit_test(test_duplicates),
      cmocka_unit_test(test_local_channels),
      cmocka_unit_test(test_lost_claims_are_not_ready),
      cmocka_unit_test(test_overflow_cases),
      cmocka_unit_test(test_no_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

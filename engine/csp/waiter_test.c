#include <pthread.h>
#include <sched.h>

#include "csp/context.h"
#include "csp/testing.h"

/* An object with nothing but its wait list. */
static int gates_freed;
static void gate_free(np_object *object) {
  if (np_object_orphan(object)) return;
  gates_freed++;
  np_free(object);
}
static const np_object_kind gate_kind = {"gate", 97, gate_free, NULL};

static np_object *gate_open(void) {
  np_object *gate = np_alloc_zero(sizeof *gate);
  np_object_init(gate, &gate_kind);
  return gate;
}

static int32_t wait_at(np_actor *actor, np_object *gate) {
  np_waker *me = now(actor);
  np_lock_take(&gate->lock);
  return np_wait_one(me, gate, &gate->waits, false, (np_value){0}, true);
}

static void test_claim_is_won_once(void **state) {
  (void)state;
  np_waker waker;
  np_actor actor;
  np_test_waker(&waker, 1);
  for (int alone = 0; alone < 2; alone++) {
    waker.alone = alone != 0;
    np_actors_init(&actor, 1, &waker);
    assert_false(np_waiter_claim(&actor.waiter)); /* It runs. */
    assert_int_equal(np_wait_bare(now(&actor)), NP_PARKED);
    assert_true(np_waiter_claim(&actor.waiter));
    assert_false(np_waiter_claim(&actor.waiter));
    assert_false(np_waiter_take_back(&actor.waiter));
    actor.waiter.code = NP_TIMEOUT;
    np_wake(&waker, &actor.waiter);
    assert_next(&waker, &actor, NP_TIMEOUT);
    assert_false(np_waiter_claim(&actor.waiter));
  }
  np_waker_free(&waker);
}

static void test_takes_back_and_leaves(void **state) {
  (void)state;
  np_waker waker;
  np_actor actor;
  np_test_waker(&waker, 1);
  np_actors_init(&actor, 1, &waker);
  np_object *gate = gate_open();
  assert_int_equal(wait_at(&actor, gate), NP_PARKED);
  assert_int_equal(gate->enlisted, 1);
  assert_true(np_waiter_take_back(&actor.waiter));
  np_waiter_leave(&waker, &actor.waiter);
  assert_int_equal(gate->enlisted, 0);
  assert_true(np_list_empty(&gate->waits));
  np_object_wake_all(&waker, gate, NP_OK);
  assert_nobody(&waker);
  np_object_release(gate);
  np_waker_free(&waker);
}

/* The waits of one that was claimed by another stand until its owner comes. */
static void test_wake_all(void **state) {
  (void)state;
  enum {
    COUNT = 10
  };
  np_waker waker;
  np_actor actors[COUNT];
  np_test_waker(&waker, 1);
  np_actors_init(actors, COUNT, &waker);
  np_object *gate = gate_open();
  for (int i = 0; i < COUNT; i++)
    assert_int_equal(wait_at(&actors[i], gate), NP_PARKED);
  assert_true(np_waiter_claim(&actors[4].waiter));
  actors[4].waiter.code = NP_TIMEOUT;
  np_object_wake_all(&waker, gate, 77);
  assert_int_equal(gate->enlisted, 1);
  for (int i = 0; i < COUNT; i++)
    if (i != 4) assert_next(&waker, &actors[i], 77); /* In their order. */
  assert_nobody(&waker);
  np_wake(&waker, &actors[4].waiter);
  assert_next(&waker, &actors[4], NP_TIMEOUT);
  assert_int_equal(gate->enlisted, 0);
  np_object_release(gate);
  np_waker_free(&waker);
}

/* An object whose last reference goes while somebody waits stays for it. */
static void test_orphans_live_until_the_last_wait_leaves(void **state) {
  (void)state;
  np_waker waker;
  np_actor actors[2];
  np_test_waker(&waker, 1);
  np_actors_init(actors, 2, &waker);
  np_object *gate = gate_open();
  gates_freed = 0;
  wait_at(&actors[0], gate);
  wait_at(&actors[1], gate);
  np_object_release(gate);
  assert_int_equal(gates_freed, 0);
  for (int i = 0; i < 2; i++) {
    assert_int_equal(gates_freed, 0);
    assert_true(np_waiter_claim(&actors[i].waiter));
    actors[i].waiter.code = NP_CANCELED;
    np_wake(&waker, &actors[i].waiter);
    assert_next(&waker, &actors[i], NP_CANCELED);
  }
  assert_int_equal(gates_freed, 1);
  np_waker_free(&waker);
}

/* Posts of other threads arrive in their order, after what is ready already,
 * and only a worker that sleeps is signaled. */
static void test_mailbox(void **state) {
  (void)state;
  enum {
    COUNT = 5
  };
  np_waker mine, other;
  np_actor actors[COUNT];
  np_test_waker(&mine, 1);
  np_test_waker(&other, 2);
  mine.alone = other.alone = false;
  np_actors_init(actors, COUNT, &mine);
  assert_false(np_mailbox_drain(&mine));
  for (int i = 0; i < COUNT; i++)
    assert_int_equal(np_wait_bare(now(&actors[i])), NP_PARKED);
  for (int i = 1; i < COUNT; i++) {
    assert_true(np_waiter_claim(&actors[i].waiter));
    actors[i].waiter.code = i;
    np_wake(&other, &actors[i].waiter);
  }
  assert_int_equal(mine.ready_count, 0);
  assert_false(np_event_wait(&mine.event, -1, 0)); /* It is awake. */
  assert_true(np_waiter_claim(&actors[0].waiter));
  actors[0].waiter.code = 0;
  np_wake(&mine, &actors[0].waiter);
  for (int i = 0; i < COUNT; i++) assert_next(&mine, &actors[i], i);

  np_wait_bare(now(&actors[0]));
  np_wait_bare(now(&actors[1]));
  atomic_store(&mine.sleeping, 1);
  for (int i = 0; i < 2; i++) {
    np_waiter_claim(&actors[i].waiter);
    np_wake(&other, &actors[i].waiter);
    assert_int_equal(atomic_load(&mine.sleeping), 0);
  }
  assert_true(np_event_wait(&mine.event, -1, 0));
  uint64_t signals;
  assert_int_equal(read(mine.event.fd, &signals, sizeof signals),
                   sizeof signals);
  assert_int_equal(signals, 1); /* The second found it awake. */
  np_waker_free(&mine);
  np_waker_free(&other);
}

static void test_time_limit_wins_and_loses(void **state) {
  (void)state;
  np_waker waker;
  np_actor actor;
  np_test_waker(&waker, 1);
  np_timers clock;
  np_timers_init(&clock, true, 1000);
  waker.timers = &clock;
  np_actors_init(&actor, 1, &waker);
  np_object *gate = gate_open();

  int32_t status = wait_at(&actor, gate);
  assert_int_equal(np_waiter_limit(&waker, status, 1e-6), NP_PARKED);
  np_timers_fire(&clock, &waker, 1999);
  assert_nobody(&waker);
  np_timers_fire(&clock, &waker, 2000);
  assert_next(&waker, &actor, NP_TIMEOUT);
  assert_int_equal(gate->enlisted, 0);

  waker.timers = &clock; /* np_waiter_resumed goes by the bubble. */
  status = wait_at(&actor, gate);
  assert_int_equal(np_waiter_limit(&waker, status, 1), NP_PARKED);
  np_object_wake_all(&waker, gate, NP_OK);
  assert_next(&waker, &actor, NP_OK);
  assert_int_equal(np_timers_next(&clock), NP_NEVER); /* Disarmed. */

  waker.timers = &clock; /* A time that has passed undoes the wait. */
  assert_int_equal(np_waiter_limit(&waker, wait_at(&actor, gate), 0),
                   NP_TIMEOUT);
  assert_int_equal(np_waiter_limit(&waker, wait_at(&actor, gate), -1),
                   NP_TIMEOUT);
  assert_int_equal(gate->enlisted, 0);
  assert_int_equal(np_waiter_limit(&waker, 5, 0), 5); /* No wait: no limit. */

  /* No memory for the timer: an error, and no wait is left behind. */
  np_timers_free(&clock);
  np_alloc_fail_at(1);
  assert_int_equal(np_waiter_limit(&waker, wait_at(&actor, gate), 1), NP_NOMEM);
  assert_int_equal(gate->enlisted, 0);
  /* Somebody woke it between the wait and the limit. */
  status = wait_at(&actor, gate);
  np_object_wake_all(&waker, gate, NP_OK);
  assert_int_equal(np_waiter_limit(&waker, status, 0), NP_PARKED);
  assert_next(&waker, &actor, NP_OK);
  assert_nobody(&waker);
  np_object_release(gate);
  np_timers_free(&clock);
  np_waker_free(&waker);
}

static void test_slots_are_reused(void **state) {
  (void)state;
  np_waker waker;
  np_test_waker(&waker, 1);
  enum {
    COUNT = 1000
  };
  for (uint32_t i = 0; i < COUNT; i++)
    assert_int_equal(np_slot_take(&waker), i);
  for (uint32_t i = 0; i < COUNT; i++) np_slot_give(&waker, i);
  assert_int_equal(np_slot_take(&waker), COUNT - 1); /* Last freed first. */
  for (uint32_t i = 1; i < COUNT; i++) np_slot_take(&waker);
  assert_int_equal(waker.slot_high, COUNT);
  while (waker.slot_high < waker.slot_capacity) np_slot_take(&waker);
  np_alloc_fail_at(1);
  assert_true(np_slot_take(&waker) == NP_NO_SLOT);
  uint32_t next = waker.slot_high;
  assert_int_equal(np_slot_take(&waker), next);
  np_waker_free(&waker);
}

/* SP-03: a seeded run draws, the same seed alike; nobody is lost or doubled. */
static void test_drawn_order(void **state) {
  (void)state;
  enum {
    COUNT = 50
  };
  int orders[3][COUNT];
  const uint64_t seeds[] = {5, 5, 6};
  for (int run = 0; run < 3; run++) {
    np_waker waker;
    np_actor actors[COUNT];
    np_test_waker(&waker, seeds[run]);
    waker.shuffle = 1;
    np_actors_init(actors, COUNT, &waker);
    for (int i = 0; i < COUNT; i++) np_ready_push(&waker, &actors[i].waiter);
    bool seen[COUNT] = {false};
    for (int i = 0; i < COUNT; i++) {
      np_actor *actor = (np_actor *)(void *)np_ready_pop(&waker);
      assert_non_null(actor);
      assert_false(seen[actor->number]);
      seen[actor->number] = true;
      orders[run][i] = actor->number;
      assert_int_equal(waker.ready_count, COUNT - 1 - i);
    }
    assert_null(np_ready_pop(&waker));
    np_ready_push(&waker, &actors[0].waiter);
    assert_ptr_equal(np_ready_pop(&waker), &actors[0]);
    np_waker_free(&waker);
  }
  assert_memory_equal(orders[0], orders[1], sizeof orders[0]);
  assert_memory_not_equal(orders[0], orders[2], sizeof orders[0]);
}

static void test_budget_gives_way(void **state) {
  (void)state;
  np_waker waker;
  np_actor actors[2];
  np_test_waker(&waker, 1);
  np_actors_init(actors, 2, &waker);
  now(&actors[0]);
  for (int i = 0; i < NP_BUDGET; i++)
    assert_int_equal(np_waker_check(&waker), NP_OK);
  np_ready_push(&waker, &actors[1].waiter);
  assert_int_equal(np_waker_check(&waker), NP_YIELD);
  assert_next(&waker, &actors[1], NP_OK);
  assert_next(&waker, &actors[0], NP_OK);
  assert_nobody(&waker);
  np_waker_free(&waker);
}

/* A cancel is heard at the next check, again at each later one, and not by
 * others; a shield holds it off. */
static void test_cancel_is_heard(void **state) {
  (void)state;
  np_waker waker;
  np_actor actors[2];
  np_test_waker(&waker, 1);
  np_actors_init(actors, 2, &waker);
  atomic_store(&actors[0].waiter.canceled, true);
  np_waker_call(&waker);
  now(&actors[1]);
  assert_int_equal(np_waker_check(&waker), NP_OK);
  now(&actors[0]);
  np_waker_call(&waker);
  for (int i = 0; i < 3; i++)
    assert_int_equal(np_waker_check(&waker), NP_CANCELED);
  actors[0].waiter.shielded = true;
  assert_int_equal(np_waker_check(&waker), NP_OK);
  assert_int_equal(np_wait_bare(&waker), NP_PARKED);
  np_waiter_claim(&actors[0].waiter);
  actors[0].waiter.code = NP_OK;
  np_wake(&waker, &actors[0].waiter);
  assert_next(&waker, &actors[0], NP_OK);
  actors[0].waiter.shielded = false;
  /* Even without having been called: parking looks. */
  assert_int_equal(np_wait_bare(&waker), NP_CANCELED);
  assert_nobody(&waker);
  np_waker_free(&waker);
}

/* One that stands for code outside any task is told to pump. */
static void test_outside_pumps(void **state) {
  (void)state;
  np_waker waker;
  np_actor actor;
  np_test_waker(&waker, 1);
  np_actors_init(&actor, 1, &waker);
  actor.waiter.pumps = true;
  np_object *gate = gate_open();
  assert_int_equal(wait_at(&actor, gate), NP_PUMP);
  np_object_wake_all(&waker, gate, NP_OK);
  assert_next(&waker, &actor, NP_OK);
  np_object_release(gate);
  np_waker_free(&waker);
}

/* A wait that was never yielded for (a coroutine of the user's own): whatever
 * the task does next takes it back, also when its budget is used up just then,
 * and whoever has won its claim meanwhile. */
static void test_stale_waits(void **state) {
  (void)state;
  int64_t before = np_alloc_live();
  for (int kind = 0; kind < 8; kind++) {
    np_waker waker, other;
    np_actor actor;
    np_test_waker(&waker, 1);
    np_test_waker(&other, 2);
    waker.alone = other.alone = false;
    np_actors_init(&actor, 1, &waker);
    np_channel *channel = np_channel_open(0, NP_BLOCK, true);
    assert_int_equal(np_channel_recv(now(&actor), channel, true), NP_PARKED);
    if (kind & 1) { /* Its message is in the mailbox, and gets lost. */
      np_value value = np_text("a text of more than fourteen bytes");
      np_waiter outside;
      np_waiter_init(&outside, &other);
      other.current = &outside;
      assert_int_equal(np_channel_send(&other, channel, &value, false), NP_OK);
    }
    now(&actor);
    if (kind & 2) waker.front.budget = 0;
    if (kind & 4) {
      np_waiter_step_aside(&waker);
      assert_next(&waker, &actor, NP_OK);
    } else {
      assert_int_equal(np_channel_recv(&waker, channel, true), NP_STATE);
    }
    assert_false(np_waiter_is_stale(&actor.waiter));
    assert_int_equal(channel->object.enlisted, 0);
    assert_nobody(&waker);
    assert_int_equal(waker.ready_count, 0);
    np_object_release(&channel->object);
    np_waker_free(&waker);
    np_waker_free(&other);
  }
  assert_int_equal(np_alloc_live(), before);
}

/* --- races ---------------------------------------------------------------- */

#define CLAIMERS 4

int main(void) {
  alarm(110);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_claim_is_won_once),
      cmocka_unit_test(test_takes_back_and_leaves),
      cmocka_unit_test(test_wake_all),
      cmocka_unit_test(test_orphans_live_until_the_last_wait_leaves),
      cmocka_unit_test(test_mailbox),
      cmocka_unit_test(test_time_limit_wins_and_loses),
      cmocka_unit_test(test_slots_are_reused),
      cmocka_unit_test(test_drawn_order),
      cmocka_unit_test(test_budget_gives_way),
      cmocka_unit_test(test_cancel_is_heard),
      cmocka_unit_test(test_outside_pumps),
      cmocka_unit_test(test_stale_waits),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

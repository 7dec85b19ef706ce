/* Large trees, members, orphans, failing allocations and races. */
#include <pthread.h>
#include <sched.h>

#include "csp/context.h"
#include "csp/testing.h"

static np_waker waker;
static np_timers clock_;
static const np_value nothing = {.tag = NP_NOTHING};

static void set_up(void) {
  np_test_waker(&waker, 1);
  np_timers_init(&clock_, true, 1000);
  waker.timers = &clock_;
}

static void tear_down(void) {
  assert_nobody(&waker);
  np_timers_free(&clock_);
  np_waker_free(&waker);
}

static np_context *child_of(np_context *parent) {
  np_context *context = np_context_open(&waker, parent);
  assert_non_null(context);
  return context;
}

static np_context *until(np_context *parent, int64_t deadline, double cause) {
  np_value value = cause != 0 ? np_value_number(cause) : nothing;
  np_context *context = np_context_open_until(&waker, parent, deadline, value);
  assert_non_null(context);
  return context;
}

static bool cancel(np_context *context, double cause) {
  return np_context_end(&waker, context, NP_CANCELED,
                        cause != 0 ? np_value_number(cause) : nothing);
}

static void release(np_context *context) {
  np_object_release(&context->object);
}

static double cause_of(np_context *context) {
  return context->cause.tag == NP_NUMBER ? context->cause.as.number : 0;
}

#define assert_state(context, wanted) \
  assert_int_equal(np_context_state(context), (wanted))

/* CX-08: constant memory under a long-lived parent. */
static void test_a_million_come_and_go(void **state) {
  (void)state;
  set_up();
  int rounds = getenv("NEAP_TEST_QUICK") ? 100000 : 1000000;
  np_context *parent = child_of(NULL);
  int64_t before = np_alloc_live();
  for (int i = 0; i < rounds; i++) {
    np_context *child =
        i % 2 != 0 ? child_of(parent) : until(parent, 1000000 + i, 0);
    if (i % 3 != 0) cancel(child, 0);
    assert_int_equal(parent->child_count, i % 3 == 0);
    release(child);
    assert_int_equal(parent->child_count, 0);
    if (i == 0) before = np_alloc_live(); /* The heap's first block. */
  }
  assert_int_equal(np_alloc_live(), before);
  assert_int_equal(np_timers_next(&clock_), NP_NEVER);
  release(parent);
  tear_down();
}

/* 100,000 deep: end and free walk, they do not recurse. */
static void test_long_chains(void **state) {
  (void)state;
  enum {
    DEPTH = 100000
  };
  for (int keep = 0; keep < 2; keep++) {
    int64_t before = np_alloc_live();
    set_up();
    np_context *root = child_of(NULL), *leaf = root, *middle = NULL;
    np_object_retain(&root->object);
    for (int i = 0; i < DEPTH; i++) {
      np_context *next = child_of(leaf);
      release(leaf); /* Its child holds it. */
      leaf = next;
      if (i == DEPTH / 2) middle = leaf;
    }
    if (keep) {
      cancel(root, 2);
      assert_state(leaf, NP_CANCELED);
      assert_state(middle, NP_CANCELED);
      assert_true(cause_of(leaf) == 2);
    }
    release(leaf); /* The last: all but the root go. */
    assert_int_equal(root->child_count, 0);
    release(root);
    tear_down();
    assert_int_equal(np_alloc_live(), before);
  }
}

/* 100,000 children of one. */
static void test_wide_trees(void **state) {
  (void)state;
  enum {
    WIDTH = 100000
  };
  int64_t before = np_alloc_live();
  set_up();
  np_context *parent = child_of(NULL);
  np_context **children = np_alloc(WIDTH * sizeof *children);
  for (int i = 0; i < WIDTH; i++) children[i] = child_of(parent);
  assert_int_equal(parent->child_count, WIDTH);
  for (int i = 0; i < WIDTH; i += 2) release(children[i]);
  assert_int_equal(parent->child_count, WIDTH / 2);
  cancel(parent, 1);
  for (int i = 1; i < WIDTH; i += 2) {
    assert_state(children[i], NP_CANCELED);
    release(children[i]);
  }
  np_free(children);
  release(parent);
  tear_down();
  assert_int_equal(np_alloc_live(), before);
}

static void test_members_are_woken(void **state) {
  (void)state;
  set_up();
  enum {
    COUNT = 6
  };
  np_actor actors[COUNT];
  np_actors_init(actors, COUNT, &waker);
  np_context *parent = child_of(NULL), *child = child_of(parent);
  for (int i = 0; i < COUNT; i++)
    np_context_join(i % 2 != 0 ? child : parent, &actors[i].waiter);
  for (int i = 0; i < 4; i++)
    assert_int_equal(np_wait_bare(now(&actors[i])), NP_PARKED);
  actors[3].waiter.deaf = true; /* Waits for its scope's tasks. */
  cancel(parent, 0);
  bool woken[COUNT] = {false};
  np_actor *actor;
  while ((actor = np_actor_next(&waker)) != NULL) {
    assert_int_equal(waker.front.code, NP_CANCELED);
    assert_false(woken[actor->number]);
    woken[actor->number] = true;
  }
  for (int i = 0; i < COUNT; i++) assert_int_equal(woken[i], i < 3);
  now(&actors[4]); /* It ran: it hears at the next check. */
  assert_int_equal(np_waker_check(&waker), NP_CANCELED);
  assert_int_equal(np_wait_bare(now(&actors[5])), NP_CANCELED);
  for (int i = 0; i < COUNT; i++) np_context_quit(&actors[i].waiter);
  np_context_quit(&actors[0].waiter); /* Of none: nothing to do. */
  np_actor late;
  np_actors_init(&late, 1, &waker);
  np_context_join(parent, &late.waiter);
  now(&late);
  assert_int_equal(np_waker_check(&waker), NP_CANCELED);
  np_context_quit(&late.waiter);
  release(child);
  release(parent);
  tear_down();
}

static void test_join_moves(void **state) {
  (void)state;
  set_up();
  np_actor actor;
  np_actors_init(&actor, 1, &waker);
  np_context *a = child_of(NULL), *b = child_of(NULL);
  np_context_join(a, &actor.waiter);
  np_context_join(b, &actor.waiter);
  assert_true(np_list_empty(&a->members));
  assert_int_equal(np_wait_bare(now(&actor)), NP_PARKED);
  cancel(a, 0);
  assert_nobody(&waker);
  cancel(b, 0);
  assert_next(&waker, &actor, NP_CANCELED);
  np_context_quit(&actor.waiter);
  release(a);
  release(b);
  tear_down();
}

/* A wait on a context that loses its last reference stays valid. */
static void test_orphaned_context(void **state) {
  (void)state;
  int64_t before = np_alloc_live();
  set_up();
  np_actor actor;
  np_actors_init(&actor, 1, &waker);
  np_context *context = child_of(NULL);
  np_waker *me = now(&actor);
  np_lock_take(&context->object.lock);
  assert_int_equal(np_wait_one(me, &context->object, &context->object.waits,
                               false, nothing, true),
                   NP_PARKED);
  release(context);
  np_waiter_claim(&actor.waiter);
  actor.waiter.code = NP_TIMEOUT;
  np_wake(&waker, &actor.waiter);
  assert_next(&waker, &actor, NP_TIMEOUT);
  tear_down();
  assert_int_equal(np_alloc_live(), before);
}

static void test_no_memory(void **state) {
  (void)state;
  int64_t before = np_alloc_live();
  set_up();
  np_context *parent = child_of(NULL);
  np_alloc_fail_at(1);
  assert_null(np_context_open(&waker, parent));
  np_alloc_fail_at(1);
  assert_null(np_context_open_detached(&waker, parent));
  for (int n = 1; n <= 2; n++) { /* The context, then its timer. */
    np_value cause = np_text("a cause of more than fourteen bytes");
    np_alloc_fail_at(n);
    assert_null(np_context_open_until(&waker, parent, 9000, cause));
  }
  np_value key = np_text("a key of more than fourteen bytes");
  np_value value = np_text("a value of more than fourteen bytes");
  np_alloc_fail_at(1);
  assert_null(np_context_open_value(&waker, parent, key, value));
  assert_int_equal(parent->child_count, 0);
  release(parent);
  tear_down();
  assert_int_equal(np_alloc_live(), before);
}

typedef struct grove {
  np_context *_Atomic tops[8];
  _Atomic bool stop;
} grove;

static void *end_tops(void *argument) {
  grove *shared = argument;
  np_waker mine;
  np_test_waker(&mine, 5);
  mine.alone = false;
  while (!atomic_load(&shared->stop)) {
    for (int i = 0; i < 8; i++) {
      np_context *top = atomic_exchange(&shared->tops[i], NULL);
      if (top == NULL) continue;
      np_context_end(&mine, top, NP_CANCELED,
                     np_text("a cause of more than fourteen bytes"));
      np_object_release(&top->object);
    }
  }
  np_waker_free(&mine);
  return NULL;
}

/* Two threads end and free trees that a third builds, deadlines and all: a
 * child of an ended parent has ended, and nothing is lost or freed twice. */
static void test_build_against_end(void **state) {
  (void)state;
  int64_t before = np_alloc_live();
  set_up();
  waker.alone = false;
  grove *shared = np_alloc_zero(sizeof *shared);
  pthread_t threads[2];
  for (int i = 0; i < 2; i++)
    pthread_create(&threads[i], NULL, end_tops, shared);
  int rounds = getenv("NEAP_TEST_QUICK") ? 3000 : 20000;
  for (int round = 0; round < rounds; round++) {
    np_context *top = child_of(NULL), *all[9];
    np_object_retain(&top->object);
    np_context *old = atomic_exchange(&shared->tops[round % 8], top);
    if (old != NULL) np_object_release(&old->object);
    for (int i = 0; i < 9; i++) {
      np_context *parent = i < 3 ? top : all[i - 3];
      all[i] = i % 3 == 0 ? until(parent, clock_.now + 1 + i % 2, 3)
                          : child_of(parent);
      if (np_context_state(parent) != NP_OK) /* Its end is on its way here. */
        while (np_context_state(all[i]) == NP_OK) sched_yield();
    }
    clock_.now++;
    np_timers_fire(&clock_, &waker, clock_.now);
    for (int i = 0; i < 9; i++) release(all[i * 4 % 9]);
    release(top);
  }
  atomic_store(&shared->stop, true);
  for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
  for (int i = 0; i < 8; i++)
    if (shared->tops[i] != NULL) release(shared->tops[i]);
  np_free(shared);
  tear_down();
  assert_int_equal(np_alloc_live(), before);
}

int main(void) {
  alarm(110);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_million_come_and_go),
      cmocka_unit_test(test_long_chains),
      cmocka_unit_test(test_wide_trees),
      cmocka_unit_test(test_members_are_woken),
      cmocka_unit_test(test_join_moves),
      cmocka_unit_test(test_orphaned_context),
      cmocka_unit_test(test_no_memory),
      cmocka_unit_test(test_build_against_end),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

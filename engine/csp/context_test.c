/* Conformance rows CX-01..CX-18 as far as they are not Lua's. */
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

/* CX-01 */
static void test_root(void **state) {
  (void)state;
  set_up();
  np_context *root = child_of(NULL);
  assert_state(root, NP_OK);
  assert_true(root->deadline == NP_NEVER);
  np_value key = np_value_number(1);
  assert_null(np_context_lookup(root, &key));
  release(root);
  tear_down();
}

/* CX-03, CX-04, CX-05 */
static void test_ends_the_whole_tree(void **state) {
  (void)state;
  int64_t before = np_alloc_live();
  set_up();
  np_context *root = child_of(NULL), *parent = child_of(root);
  np_context *a = child_of(parent);
  np_context *b = np_context_open_value(&waker, parent, np_value_number(1),
                                        np_value_number(2));
  np_context *c = until(b, 3600 * NP_SECOND, 9), *d = child_of(c);
  assert_int_equal(parent->child_count, 2);
  assert_true(cancel(parent, 7));
  np_context *all[] = {parent, a, b, c, d};
  for (int i = 0; i < 5; i++) {
    assert_state(all[i], NP_CANCELED);
    assert_true(cause_of(all[i]) == 7);
    assert_int_equal(all[i]->child_count, 0);
    assert_true(np_list_empty(&all[i]->children));
  }
  assert_int_equal(np_timers_next(&clock_), NP_NEVER);
  assert_false(cancel(parent, 8));
  assert_true(cause_of(parent) == 7);
  assert_state(root, NP_OK);
  assert_int_equal(root->child_count, 0);
  for (int i = 0; i < 5; i++) release(all[i]);
  release(root);
  tear_down();
  assert_int_equal(np_alloc_live(), before);
}

/* CX-06, CX-07 */
static void test_children(void **state) {
  (void)state;
  set_up();
  np_context *parent = child_of(NULL), *a = child_of(parent),
             *b = child_of(parent);
  assert_int_equal(parent->child_count, 2);
  cancel(a, 0);
  assert_state(parent, NP_OK);
  assert_state(b, NP_OK);
  assert_int_equal(parent->child_count, 1);
  cancel(parent, 3);
  np_context *late = child_of(parent);
  assert_state(late, NP_CANCELED);
  assert_true(cause_of(late) == 3);
  assert_int_equal(parent->child_count, 0);
  np_context *timed = until(parent, 9000, 4);
  assert_state(timed, NP_CANCELED);
  assert_true(cause_of(timed) == 3);
  assert_int_equal(np_timers_next(&clock_), NP_NEVER);
  release(parent);
  release(a);
  release(b);
  release(late);
  release(timed);
  tear_down();
}

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

/* CX-09, CX-11, CX-12 */
static void test_deadlines(void **state) {
  (void)state;
  set_up();
  np_context *a = until(NULL, 2000, 0), *later = until(a, 20000, 5),
             *sooner = until(a, 1500, 6);
  assert_true(later->deadline == 2000);
  assert_true(sooner->deadline == 1500);
  np_timers_fire(&clock_, &waker, 1499);
  assert_state(sooner, NP_OK);
  np_timers_fire(&clock_, &waker, 1500);
  assert_state(sooner, NP_TIMEOUT);
  assert_true(cause_of(sooner) == 6);
  assert_state(a, NP_OK);
  assert_false(cancel(sooner, 0));
  assert_state(sooner, NP_TIMEOUT);
  np_timers_fire(&clock_, &waker, 2000);
  assert_state(a, NP_TIMEOUT);
  assert_state(later, NP_TIMEOUT);
  assert_true(cause_of(later) == 0);
  release(a);
  release(later);
  release(sooner);

  np_context *early = until(NULL, 5000, 6);
  cancel(early, 0);
  assert_state(early, NP_CANCELED);
  assert_true(cause_of(early) == 0);
  assert_int_equal(np_timers_next(&clock_), NP_NEVER);
  np_timers_fire(&clock_, &waker, 9000);
  assert_state(early, NP_CANCELED);
  release(early);
  tear_down();
}

/* CX-10 */
static void test_deadlines_that_have_passed(void **state) {
  (void)state;
  set_up();
  np_context *parent = child_of(NULL);
  const int64_t passed[] = {1000, 999, 0, INT64_MIN};
  for (int i = 0; i < 4; i++) {
    np_context *context = until(parent, passed[i], 2);
    assert_state(context, NP_TIMEOUT);
    assert_true(cause_of(context) == 2);
    assert_int_equal(parent->child_count, 0);
    release(context);
  }
  np_context *never = until(parent, NP_NEVER, 2);
  assert_state(never, NP_OK);
  assert_int_equal(np_timers_next(&clock_), NP_NEVER);
  release(never);
  release(parent);
  tear_down();
}

/* CX-15, CX-16 */
static void test_causes(void **state) {
  (void)state;
  set_up();
  /* Causes of parent and child (0: plain), who goes first, the child's. */
  const struct {
    double parent, child;
    bool child_first;
    double wanted;
  } rows[] = {{1, 2, false, 1}, {1, 2, true, 2},  {1, 0, false, 1},
              {1, 0, true, 0},  {0, 2, false, 0}, {0, 2, true, 2}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    np_context *parent = child_of(NULL), *child = child_of(parent);
    if (rows[i].child_first) cancel(child, rows[i].child);
    cancel(parent, rows[i].parent);
    if (!rows[i].child_first) cancel(child, rows[i].child);
    assert_state(child, NP_CANCELED);
    assert_true(cause_of(child) == rows[i].wanted);
    assert_true(cause_of(parent) == rows[i].parent);
    release(parent);
    release(child);
  }
  tear_down();
}

/* CX-17 */
static void test_causes_of_timeouts(void **state) {
  (void)state;
  set_up();
  np_context *fires = until(NULL, 2000, 5), *parent = child_of(NULL),
             *below = until(parent, 2000, 5), *above = child_of(NULL),
             *canceled = until(above, 2000, 5);
  cancel(above, 6);
  np_timers_fire(&clock_, &waker, 2000);
  cancel(parent, 6);
  assert_state(fires, NP_TIMEOUT);
  assert_true(cause_of(fires) == 5);
  assert_state(below, NP_TIMEOUT);
  assert_true(cause_of(below) == 5);
  assert_state(canceled, NP_CANCELED);
  assert_true(cause_of(canceled) == 6);
  np_context *all[] = {fires, parent, below, above, canceled};
  for (int i = 0; i < 5; i++) release(all[i]);
  tear_down();
}

/* CX-18 */
static void test_detached(void **state) {
  (void)state;
  set_up();
  for (int ended = 0; ended < 2; ended++) {
    np_context *timed = until(NULL, clock_.now + 500, 0);
    np_context *parent =
        np_context_open_value(&waker, timed, np_value_number(1),
                              np_value_number(10));
    if (ended) cancel(timed, 3);
    np_context *free_one = np_context_open_detached(&waker, parent);
    np_context *below = child_of(free_one);
    assert_int_equal(parent->child_count, 0);
    if (!ended) cancel(timed, 3);
    np_value key = np_value_number(1);
    np_context *both[] = {free_one, below};
    for (int i = 0; i < 2; i++) {
      assert_state(both[i], NP_OK);
      assert_true(both[i]->deadline == NP_NEVER);
      assert_int_equal(both[i]->cause.tag, NP_NOTHING);
      assert_true(np_context_lookup(both[i], &key)->as.number == 10);
    }
    cancel(free_one, 4);
    assert_state(below, NP_CANCELED);
    release(below);
    release(free_one);
    release(parent);
    release(timed);
  }
  tear_down();
}

/* CX-13 */
static void test_values(void **state) {
  (void)state;
  int64_t before = np_alloc_live();
  set_up();
  const char *long_key = "a key of more than fourteen bytes";
  np_context *one =
      np_context_open_value(&waker, NULL, np_value_number(1), np_text("first"));
  np_context *two =
      np_context_open_value(&waker, one, np_text("1"), np_text("second"));
  np_context *three =
      np_context_open_value(&waker, two, np_text(long_key),
                            np_text("a value of more than fourteen bytes"));
  np_context *four =
      np_context_open_value(&waker, three, np_value_number(1), nothing);
  np_context *leaf = child_of(four);
  np_value number = np_value_number(1), text = np_text("1"),
           other = np_text(long_key), missing = np_text("2"),
           yes = {.tag = NP_TRUE}, no = {.tag = NP_FALSE};
  for (int ended = 0; ended < 2; ended++) {
    const np_value *found = np_context_lookup(leaf, &number);
    assert_non_null(found); /* Bound again to nothing: hides the older. */
    assert_int_equal(found->tag, NP_NOTHING);
    assert_memory_equal((const char *)np_context_lookup(three, &number) + 2,
                        "first", 5);
    assert_memory_equal((const char *)np_context_lookup(leaf, &text) + 2,
                        "second", 6);
    assert_int_equal(np_context_lookup(leaf, &other)->tag, NP_STRING);
    assert_null(np_context_lookup(leaf, &missing));
    assert_null(np_context_lookup(leaf, &yes));
    assert_null(np_context_lookup(leaf, &no));
    cancel(one, 0);
  }
  np_value_drop(&other);
  np_context *all[] = {one, two, three, four, leaf};
  for (int i = 0; i < 5; i++) release(all[i]);
  tear_down();
  assert_int_equal(np_alloc_live(), before);
}

static void test_keys_compare_by_type_and_value(void **state) {
  (void)state;
  np_value keys[] = {np_value_number(0),
                     np_value_number(1),
                     {.tag = NP_TRUE},
                     {.tag = NP_FALSE},
                     np_text(""),
                     np_text("a"),
                     np_text("b"),
                     np_text("twenty bytes are long"),
                     np_text("twenty bytes are lonG"),
                     {.tag = NP_NULL}};
  enum {
    COUNT = sizeof keys / sizeof *keys
  };
  for (int i = 0; i < COUNT; i++)
    for (int j = 0; j < COUNT; j++)
      assert_int_equal(np_value_equal(&keys[i], &keys[j]), i == j);
  np_value again = np_text("twenty bytes are long");
  assert_true(np_value_equal(&keys[7], &again));
  np_value_drop(&again);
  for (int i = 0; i < COUNT; i++) np_value_drop(&keys[i]);
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

/* --- members -------------------------------------------------------------- */

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

/* --- races ---------------------------------------------------------------- */

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
      cmocka_unit_test(test_root),
      cmocka_unit_test(test_ends_the_whole_tree),
      cmocka_unit_test(test_children),
      cmocka_unit_test(test_a_million_come_and_go),
      cmocka_unit_test(test_deadlines),
      cmocka_unit_test(test_deadlines_that_have_passed),
      cmocka_unit_test(test_causes),
      cmocka_unit_test(test_causes_of_timeouts),
      cmocka_unit_test(test_detached),
      cmocka_unit_test(test_values),
      cmocka_unit_test(test_keys_compare_by_type_and_value),
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

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

int main(void) {
  alarm(110);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_root),
      cmocka_unit_test(test_ends_the_whole_tree),
      cmocka_unit_test(test_children),
      cmocka_unit_test(test_deadlines),
      cmocka_unit_test(test_deadlines_that_have_passed),
      cmocka_unit_test(test_causes),
      cmocka_unit_test(test_causes_of_timeouts),
      cmocka_unit_test(test_detached),
      cmocka_unit_test(test_values),
      cmocka_unit_test(test_keys_compare_by_type_and_value),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/random.h"

static void test_same_seed_same_stream(void **state) {
  (void)state;
  np_random a, b, c;
  np_random_seed(&a, 7);
  np_random_seed(&b, 7);
  np_random_seed(&c, 8);
  int equal = 0;
  for (int i = 0; i < 1000; i++) {
    uint32_t next = np_random_next(&a);
    assert_int_equal(next, np_random_next(&b));
    equal += next == np_random_next(&c);
  }
  assert_true(equal < 5); /* Neighbouring seeds give unlike streams. */
}

static void test_never_sticks_at_zero(void **state) {
  (void)state;
  /* The seed that splitmix64 turns into zero, among others. */
  const uint64_t seeds[] = {0, UINT64_MAX, UINT64_C(0) - 0x9e3779b97f4a7c15};
  for (size_t i = 0; i < sizeof seeds / sizeof *seeds; i++) {
    np_random random;
    np_random_seed(&random, seeds[i]);
    uint32_t all = 0;
    for (int draw = 0; draw < 64; draw++) all |= np_random_next(&random);
    assert_int_equal(all, UINT32_MAX);
  }
}

static void test_below_is_uniform(void **state) {
  (void)state;
  np_random random;
  np_random_seed(&random, 1);
  const uint32_t bounds[] = {1, 2, 3, 7, 16, 1024};
  for (size_t b = 0; b < sizeof bounds / sizeof *bounds; b++) {
    uint32_t counts[1024] = {0}, draws = bounds[b] * 2000;
    for (uint32_t i = 0; i < draws; i++) {
      uint32_t drawn = np_random_below(&random, bounds[b]);
      assert_true(drawn < bounds[b]);
      counts[drawn]++;
    }
    /* 2,000 each; six sigma is 268. */
    for (uint32_t i = 0; i < bounds[b]; i++)
      assert_in_range(counts[i], 1700, 2300);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_same_seed_same_stream),
      cmocka_unit_test(test_never_sticks_at_zero),
      cmocka_unit_test(test_below_is_uniform),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

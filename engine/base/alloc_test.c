#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"

static void test_counts_live_blocks(void **state) {
  (void)state;
  int64_t before = np_alloc_live();
  char *a = np_alloc(10), *b = np_alloc_zero(100), *c = np_realloc(NULL, 5);
  assert_int_equal(np_alloc_live(), before + 3);
  for (int i = 0; i < 100; i++) assert_int_equal(b[i], 0);
  memcpy(c, "four", 5);
  c = np_realloc(c, 5000);
  assert_string_equal(c, "four");
  assert_int_equal(np_alloc_live(), before + 3);
  np_free(a);
  np_free(b);
  np_free(c);
  np_free(NULL);
  assert_int_equal(np_alloc_live(), before);
}

static void test_size_zero_is_a_block(void **state) {
  (void)state;
  void *a = np_alloc(0), *b = np_alloc_zero(0), *c = np_realloc(NULL, 0);
  assert_non_null(a);
  assert_non_null(b);
  assert_non_null(c);
  c = np_realloc(c, 0);
  assert_non_null(c);
  np_free(a);
  np_free(b);
  np_free(c);
}

static void test_fails_at_the_nth(void **state) {
  (void)state;
  int64_t before = np_alloc_live();
  np_alloc_fail_at(3);
  void *a = np_alloc(8), *b = np_alloc_zero(8);
  assert_non_null(a);
  assert_non_null(b);
  assert_null(np_realloc(a, 100)); /* And a is untouched. */
  void *c = np_alloc(8);           /* Once only. */
  assert_non_null(c);
  assert_int_equal(np_alloc_fail_at(5), 0);
  assert_int_equal(np_alloc_fail_at(1), 5);
  assert_null(np_alloc_huge((size_t)4 << 20));
  assert_int_equal(np_alloc_fail_at(0), 0);
  np_free(a);
  np_free(b);
  np_free(c);
  assert_int_equal(np_alloc_live(), before);
}

static void test_huge_blocks(void **state) {
  (void)state;
  int64_t before = np_alloc_live();
  const size_t sizes[] = {100, ((size_t)2 << 20) - 1, (size_t)2 << 20,
                          ((size_t)2 << 20) + 1, (size_t)5 << 20};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    char *block = np_alloc_huge(sizes[i]);
    assert_non_null(block);
    if (sizes[i] >= (size_t)2 << 20)
      assert_int_equal((uintptr_t)block % ((size_t)2 << 20), 0);
    assert_int_equal(block[0], 0);
    assert_int_equal(block[sizes[i] - 1], 0);
    block[0] = block[sizes[i] - 1] = 1;
    np_free_huge(block, sizes[i]);
  }
  np_free_huge(NULL, 10);
  assert_int_equal(np_alloc_live(), before);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_counts_live_blocks),
      cmocka_unit_test(test_size_zero_is_a_block),
      cmocka_unit_test(test_fails_at_the_nth),
      cmocka_unit_test(test_huge_blocks),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

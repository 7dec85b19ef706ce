#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/arena.h"

static void keeps_copies_of_any_size(void **state) {
  (void)state;
  int64_t live = np_alloc_live();
  np_arena arena = {.blocks = NULL};
  static char source[300000];
  char *copies[400];
  for (uint32_t i = 0; i < 400; i++) {
    uint32_t length = i * i;
    memset(source, (int)i, length);
    copies[i] = np_arena_copy(&arena, source, length);
    assert_non_null(copies[i]);
  }
  for (uint32_t i = 0; i < 400; i++)
    for (uint32_t at = 0; at < i * i; at++)
      assert_int_equal((uint8_t)copies[i][at], i & 255);
  assert_true(arena.bytes < 4 * (400ull * 400 * 400 / 3));
  np_arena_clear(&arena);
  assert_int_equal(np_alloc_live(), live);
}

static void fills_what_it_is_given(void **state) {
  (void)state;
  int64_t live = np_alloc_live();
  np_arena arena = {.blocks = NULL}, other = {.blocks = NULL};
  size_t size = 8192;
  char source[3000] = {0};
  np_arena_give(&arena, np_alloc_huge(size), size); /* Empty: too much. */
  assert_int_equal(np_alloc_live(), live);
  for (int i = 0; i < 10; i++)
    assert_non_null(np_arena_copy(&arena, source, 3000));
  char *given = np_alloc_huge(size);
  np_arena_give(&arena, given, size);
  assert_int_equal(arena.spare_bytes, size);
  bool used = false;
  for (int i = 0; i < 20; i++) {
    const char *copy = np_arena_copy(&arena, source, 3000);
    used |= copy > given && copy < given + size;
  }
  assert_true(used);
  np_arena_give(&arena, np_alloc_huge(size), size);
  np_arena_adopt(&other, &arena);
  np_arena_clear(&arena);
  np_arena_clear(&other);
  assert_int_equal(np_alloc_live(), live);
}

static void reports_no_memory(void **state) {
  (void)state;
  np_arena arena = {.blocks = NULL};
  np_alloc_fail_at(1);
  assert_null(np_arena_copy(&arena, "x", 1));
  assert_non_null(np_arena_copy(&arena, "x", 1));
  np_arena_clear(&arena);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(keeps_copies_of_any_size),
      cmocka_unit_test(fills_what_it_is_given),
      cmocka_unit_test(reports_no_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

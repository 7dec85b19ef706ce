#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "io/glob.h"
#include "io/walk.h"

static void matches_names(void **state) {
  (void)state;
  static const struct {
    const char *pattern, *name;
    bool matches;
  } cases[] = {
      {"*.c", "a.c", true},
      {"*.c", ".c", false}, /* a leading dot */
      {".*", ".c", true},
      {"*.c", "a.cc", false},
      {"a?c", "abc", true},
      {"a?c", "ac", false},
      {"*", "", true},
      {"", "", true},
      {"", "a", false},
      {"**a*", "bab", true},
      {"a*b*c", "a-b-b-c", true},
      {"a*b*c", "a-c-b", false},
      {"[a-c]x", "bx", true},
      {"[a-c]x", "dx", false},
      {"[!a-c]x", "dx", true},
      {"[^a-c]x", "ax", false},
      {"[]]", "]", true},
      {"[!]]", "]", false},
      {"[a-]", "-", true},
      {"[\\]]", "]", true},
      {"[a", "[a", true}, /* not closed: itself */
      {"[", "[", true},
      {"[a", "a", false},
      {"\\*", "*", true},
      {"\\*", "a", false},
      {"a\\", "a\\", true},
      {"\\.a", ".a", true},
      {"\xc3?", "\xc3\xa4", true},
      {"[\x80-\xff]", "\xe4", true},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    if (np_walk_match(cases[i].pattern, cases[i].name) != cases[i].matches)
      fail_msg("%s against %s", cases[i].pattern, cases[i].name);
}

static void is_not_exponential(void **state) {
  (void)state;
  char name[256];
  memset(name, 'a', 255);
  name[255] = 0;
  assert_false(np_walk_match("*a*a*a*a*a*a*a*a*a*a*a*a*b", name));
}

static bool match_path(const char *pattern, char *path) {
  np_glob *glob;
  char *rest = NULL;
  assert_int_equal(np_glob_open(&glob, pattern), NP_OK);
  uint64_t state = np_glob_start(glob);
  for (char *name = strtok_r(path, "/", &rest); name != NULL && state != 0;
       name = strtok_r(NULL, "/", &rest))
    state = np_glob_step(glob, state, name);
  bool matches = np_glob_is_match(glob, state);
  np_glob_free(glob);
  return matches;
}

static void matches_paths_below_the_base(void **state) {
  (void)state;
  static const struct {
    const char *pattern, *path;
    bool matches;
  } cases[] = {
      {"x/**/*.c", "a.c", true},       {"x/**/*.c", "b/a.c", true},
      {"x/**/*.c", "b/c/a.c", true},   {"x/**/*.c", "b/.c/a.c", false},
      {"x/**/*.c", "b/a.h", false},    {"x/*/a.c", "b/a.c", true},
      {"x/*/a.c", "b/c/a.c", false},   {"x/**", "a/b", true},
      {"**/a/**/b", "a/b", true},      {"**/a/**/b", "c/a/d/e/b", true},
      {"**/a/**/b", "c/d/e/b", false}, {"x/*/", "a", true},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char path[64];
    snprintf(path, sizeof path, "%s", cases[i].path);
    if (match_path(cases[i].pattern, path) != cases[i].matches)
      fail_msg("%s against %s", cases[i].pattern, cases[i].path);
  }
}

static void knows_its_base(void **state) {
  (void)state;
  static const char *const cases[][2] = {{"*.c", ""},        {"/*.c", "/"},
                                         {"a/b/*.c", "a/b"}, {"/a//b*", "/a"},
                                         {"a*/b", ""},       {"a/\\*/b", "a"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    np_glob *glob;
    assert_int_equal(np_glob_open(&glob, cases[i][0]), NP_OK);
    assert_string_equal(np_glob_base(glob), cases[i][1]);
    np_glob_free(glob);
  }
}

static void refuses_too_many_components(void **state) {
  (void)state;
  char pattern[200] = "*";
  np_glob *glob;
  for (int i = 0; i < 61; i++)
    snprintf(pattern + 1 + 2 * i, sizeof pattern - 1 - 2 * (size_t)i, "/*");
  assert_int_equal(np_glob_open(&glob, pattern), NP_RANGE);
  np_alloc_fail_at(1);
  assert_int_equal(np_glob_open(&glob, "*"), NP_NOMEM);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(matches_names),
      cmocka_unit_test(is_not_exponential),
      cmocka_unit_test(matches_paths_below_the_base),
      cmocka_unit_test(knows_its_base),
      cmocka_unit_test(refuses_too_many_components),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

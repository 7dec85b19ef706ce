#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "base/scan.h"

#define MOST 4096

/* A copy of the text that ends where the padding ends, so that the address
 * sanitizer sees any read behind it. */
typedef struct text {
  char *bytes;
  uint32_t length;
} text;

static text text_of(const char *bytes, size_t length) {
  text copy = {malloc(length + NP_SCAN_PADDING), (uint32_t)length};
  assert_non_null(copy.bytes);
  memcpy(copy.bytes, bytes, length);
  memset(copy.bytes + length, 'x', NP_SCAN_PADDING);
  return copy;
}

typedef struct runs {
  uint32_t starts[MOST], lengths[MOST], count;
} runs;

static void collect(runs *out, text t, const np_class *class, uint32_t max) {
  np_scan scan;
  uint32_t got, starts[MOST], lengths[MOST];
  np_scan_begin(&scan, t.bytes, t.length);
  out->count = 0;
  do {
    got = class != NULL ? np_scan_runs(&scan, class, starts, lengths, max)
                        : np_scan_lines(&scan, starts, lengths, max);
    assert_true(got <= max);
    assert_true(out->count + got <= MOST);
    memcpy(out->starts + out->count, starts, got * sizeof *starts);
    memcpy(out->lengths + out->count, lengths, got * sizeof *lengths);
    out->count += got;
  } while (got > 0);
}

static void naive_runs(runs *out, text t, const np_class *class) {
  out->count = 0;
  for (uint32_t i = 0; i < t.length;) {
    uint32_t start = i;
    while (i < t.length && np_class_has(class, (uint8_t)t.bytes[i])) i++;
    if (i > start) {
      out->starts[out->count] = start;
      out->lengths[out->count++] = i - start;
    } else {
      i++;
    }
  }
}

static void naive_lines(runs *out, text t) {
  out->count = 0;
  for (uint32_t start = 0; start < t.length;) {
    uint32_t end = start;
    while (end < t.length && t.bytes[end] != '\n') end++;
    out->starts[out->count] = start;
    out->lengths[out->count++] = end - start;
    start = end + 1;
  }
}

static void assert_same(const runs *a, const runs *b) {
  assert_int_equal(a->count, b->count);
  assert_memory_equal(a->starts, b->starts, a->count * sizeof *a->starts);
  assert_memory_equal(a->lengths, b->lengths, a->count * sizeof *a->lengths);
}

static np_class parse(const char *pattern) {
  np_class class;
  assert_int_equal(np_class_parse(&class, pattern, strlen(pattern)), NP_OK);
  return class;
}

static const char *const patterns[] = {"%S+",      "%a+", "%w+",      "%d+",
                                       "[%w_]+",   ".+",  "[^,;]+",   "%s+",
                                       "[acegi]+", "%x+", "[^acegi]+"};
#define PATTERNS (sizeof patterns / sizeof *patterns)

static void check_text(text t, runs *found, runs *expected) {
  for (size_t p = 0; p < PATTERNS; p++) {
    np_class class = parse(patterns[p]);
    naive_runs(expected, t, &class);
    for (int level = 2; level >= 0; level--) {
      np_class_set_level(&class, level);
      collect(found, t, &class, level == 1 ? NP_SCAN_LEAST : MOST);
      assert_same(found, expected);
    }
  }
  naive_lines(expected, t);
  collect(found, t, NULL, NP_SCAN_LEAST);
  assert_same(found, expected);
}

static void finds_what_a_naive_loop_finds(void **state) {
  (void)state;
  static const char alphabet[] = "aabbZ_09  \t\n\n\r\v\f,;\0\x80\xff";
  np_random random;
  np_random_seed(&random, 1);
  runs *found = malloc(sizeof *found), *expected = malloc(sizeof *expected);
  for (int round = 0; round < 9000; round++) {
    char bytes[700];
    uint32_t length = np_random_below(&random, round % 10 ? 150 : 700);
    uint32_t letters = 1 + np_random_below(&random, sizeof alphabet - 1);
    for (uint32_t i = 0; i < length; i++)
      bytes[i] = alphabet[np_random_below(&random, letters)];
    if (round % 3 == 0)
      for (uint32_t i = 0; i < length; i++)
        bytes[i] = (char)np_random_next(&random);
    text t = text_of(bytes, length);
    check_text(t, found, expected);
    free(t.bytes);
  }
  free(found);
  free(expected);
}

static void handles_the_edges(void **state) {
  (void)state;
  static const char *const texts[] = {"",     "a",    " ",    "\n", "a\n",
                                      "\n\n", "a\nb", "a b ", " a"};
  runs *found = malloc(sizeof *found), *expected = malloc(sizeof *expected);
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    text t = text_of(texts[i], strlen(texts[i]));
    check_text(t, found, expected);
    free(t.bytes);
  }
  /* One run that ends at each offset around the widths of the masks. */
  char bytes[260];
  for (uint32_t length = 1; length < sizeof bytes; length++) {
    memset(bytes, 'a', length);
    bytes[length - 1] = length % 2 ? 'a' : '\n';
    bytes[length / 2] = length % 3 ? 'a' : ' ';
    text t = text_of(bytes, length);
    check_text(t, found, expected);
    free(t.bytes);
  }
  free(found);
  free(expected);
}

static void passes_a_run_longer_than_many_strips(void **state) {
  (void)state;
  uint32_t length = 300000, starts[NP_SCAN_LEAST], lengths[NP_SCAN_LEAST];
  char *bytes = malloc(length + NP_SCAN_PADDING);
  memset(bytes, 'a', length + NP_SCAN_PADDING);
  bytes[0] = bytes[length - 1] = ' ';
  np_class word = parse("%S+");
  np_scan scan;
  np_scan_begin(&scan, bytes, length);
  assert_int_equal(np_scan_runs(&scan, &word, starts, lengths, NP_SCAN_LEAST),
                   1);
  assert_int_equal(starts[0], 1);
  assert_int_equal(lengths[0], length - 2);
  assert_int_equal(np_scan_runs(&scan, &word, starts, lengths, NP_SCAN_LEAST),
                   0);
  free(bytes);
}

static void parses_only_single_classes(void **state) {
  (void)state;
  static const char *const refused[] = {"",      "a",    "%a",    "+",
                                        "%a*",   "%a+x", "(%a+)", "%b()",
                                        "%f+",   "%1+",  "[a",    "[a+",
                                        "[]+",   "^a+",  "[^]+",  "%",
                                        "%a+%",  "[%+",  "[%]+",  "%a%d+",
                                        "[a-z]-"};
  np_class class;
  for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
    assert_int_equal(np_class_parse(&class, refused[i], strlen(refused[i])),
                     NP_RANGE);

  class = parse("[]a-c%-^-]+"); /* ], a, b, c, -, ^ */
  int members = 0;
  for (int byte = 0; byte < 256; byte++)
    members += np_class_has(&class, (uint8_t)byte);
  assert_int_equal(members, 6);
  class = parse("%z+");
  assert_true(np_class_has(&class, 0));
  assert_false(np_class_has(&class, 'z'));
  class = parse("%.+");
  assert_true(np_class_has(&class, '.'));
  assert_false(np_class_has(&class, 'a'));
  assert_int_equal(np_class_parse(&class, "[\0x]+", 5), NP_OK);
  assert_true(np_class_has(&class, 0) && np_class_has(&class, 'x'));
  class = parse("%p+");
  assert_true(np_class_has(&class, '_') && !np_class_has(&class, 'z'));
  np_class inverse;
  np_class_invert(&inverse, &class);
  for (int byte = 0; byte < 256; byte++)
    assert_true(np_class_has(&class, (uint8_t)byte) !=
                np_class_has(&inverse, (uint8_t)byte));
}

static void finds_the_first_and_the_last(void **state) {
  (void)state;
  np_class space;
  np_class_space(&space);
  for (uint32_t length = 0; length < 200; length++) {
    for (uint32_t at = 0; at <= length; at += 1 + length / 20) {
      char bytes[200];
      memset(bytes, 'a', sizeof bytes);
      if (at < length) bytes[at] = '\n';
      if (at / 2 < length && at < length) bytes[at / 2] = '\v';
      text t = text_of(bytes, length);
      memset(t.bytes + length, ' ', NP_SCAN_PADDING);
      size_t first = at < length ? at / 2 : length;
      assert_int_equal(np_class_find(&space, t.bytes, length), first);
      assert_int_equal(np_class_find_last(&space, t.bytes, length), at);
      free(t.bytes);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(finds_what_a_naive_loop_finds),
      cmocka_unit_test(handles_the_edges),
      cmocka_unit_test(passes_a_run_longer_than_many_strips),
      cmocka_unit_test(parses_only_single_classes),
      cmocka_unit_test(finds_the_first_and_the_last),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

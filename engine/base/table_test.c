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
#include "base/random.h"
#include "base/table.h"

#define KEYS 3000u

/* Key i: some short, some long, some with NUL and high bytes, one empty. */
static uint32_t key_of(uint32_t i, char *out) {
  if (i == 0) return 0;
  uint32_t length = (uint32_t)sprintf(out, "%u", i);
  uint32_t filled = i % 7 == 0   ? 40
                    : i % 7 == 1 ? 16
                    : i % 7 == 2 ? 17
                                 : length;
  while (length < filled) out[length++] = (char)(i % 3 == 0 ? 0 : 255);
  return length;
}

static void expect(const np_table *table, uint32_t i, uint64_t wanted) {
  char key[64];
  uint64_t count;
  uint32_t length = key_of(i, key);
  assert_int_equal(np_table_find(table, key, length, &count), wanted > 0);
  assert_int_equal(count, wanted);
}

static void counts_random_batches(void **state) {
  (void)state;
  np_table table;
  np_random random;
  np_random_seed(&random, 2);
  uint64_t *wanted = calloc(KEYS, sizeof *wanted);
  np_table_init(&table, 12345);
  for (int round = 0; round < 1000; round++) {
    uint32_t n = np_random_below(&random, 100), used = 0;
    uint32_t starts[100], lengths[100];
    char *text = malloc(100 * 48 + NP_KEY_PADDING);
    for (uint32_t i = 0; i < n; i++) {
      uint32_t key = np_random_below(&random, 1 + (uint32_t)round * 3);
      char bytes[64];
      lengths[i] = key_of(key, bytes);
      starts[i] = used;
      memcpy(text + used, bytes, lengths[i]);
      used += lengths[i];
      wanted[key] += 3;
    }
    assert_int_equal(np_table_add_batch(&table, text, starts, lengths, n, 3),
                     NP_OK);
    free(text);
  }
  uint64_t distinct = 0, total = 0, seen = 0;
  for (uint32_t i = 0; i < KEYS; i++) {
    expect(&table, i, wanted[i]);
    distinct += wanted[i] > 0;
    total += wanted[i];
  }
  assert_int_equal(np_table_keys(&table), distinct);
  for (uint32_t part = 0; part < NP_TABLE_PARTS; part++) {
    uint32_t slot = 0;
    for (const np_entry *entry;
         (entry = np_table_part_next(&table.parts[part], &slot)); seen++) {
      assert_int_equal(entry->hash % NP_TABLE_PARTS, part);
      total -= entry->count;
    }
  }
  assert_int_equal(seen, distinct);
  assert_int_equal(total, 0);
  np_table_clear(&table);
  expect(&table, 1, 0);
  free(wanted);
}

static void tells_like_keys_apart(void **state) {
  (void)state;
  static const char zeros[64];
  np_table table;
  np_table_init(&table, 0);
  for (uint32_t length = 0; length <= 64; length++)
    assert_int_equal(np_table_add(&table, zeros, length, length + 1), NP_OK);
  assert_int_equal(np_table_keys(&table), 65);
  for (uint32_t length = 0; length <= 64; length++) {
    uint64_t count;
    assert_true(np_table_find(&table, zeros, length, &count));
    assert_int_equal(count, length + 1);
  }
  np_table_clear(&table);
}

static void keeps_giant_keys(void **state) {
  (void)state;
  size_t size = (size_t)6 << 20;
  char *giant = malloc(size);
  memset(giant, 'g', size);
  np_table table;
  np_table_init(&table, 0);
  for (uint32_t length = 65536; length <= size; length *= 3) {
    assert_int_equal(np_table_add(&table, giant, length, 1), NP_OK);
    assert_int_equal(np_table_add(&table, giant, length, 1), NP_OK);
    assert_int_equal(np_table_add(&table, giant, length % 100 + 20, 1), NP_OK);
  }
  for (uint32_t length = 65536; length <= size; length *= 3) {
    uint64_t count;
    assert_true(np_table_find(&table, giant, length, &count));
    assert_int_equal(count, 2);
    assert_false(np_table_find(&table, giant, length - 1, &count));
  }
  np_table_clear(&table);
  free(giant);
}

static void fill(np_table *table, uint32_t first, uint32_t step) {
  char key[64];
  for (uint32_t i = first; i < KEYS; i += step)
    assert_int_equal(np_table_add(table, key, key_of(i, key), i + 1), NP_OK);
}

static void merges_part_by_part(void **state) {
  (void)state;
  for (uint32_t step = 1; step < 1200; step = step * 3 + 1) {
    np_table into, from;
    np_table_init(&into, 9);
    np_table_init(&from, 9);
    fill(&into, 0, step);
    fill(&from, 1, 2);
    for (uint32_t part = 0; part < NP_TABLE_PARTS; part++)
      assert_int_equal(np_table_merge_part(&into, &from, part), NP_OK);
    np_table_adopt(&into, &from);
    assert_int_equal(np_table_keys(&from), 0);
    np_table_clear(&from);
    for (uint32_t i = 0; i < KEYS; i++)
      expect(&into, i, (uint64_t)(i + 1) * ((i % step == 0) + (i % 2 == 1)));
    np_table_clear(&into);
  }
}

static void holds_ten_million_keys_in_72_bytes_each(void **state) {
  (void)state;
  /* A sixteenth of it: growth doubles, so bytes a key repeat at each power
   * of two. */
  uint32_t keys = 10000000 / 16;
  np_table table;
  np_table_init(&table, 7);
  for (uint32_t i = 0; i < keys; i++) {
    char key[17];
    uint32_t length = (uint32_t)sprintf(key, "key%08x", i * 2654435761u);
    assert_int_equal(np_table_add(&table, key, length, 1), NP_OK);
  }
  assert_int_equal(np_table_keys(&table), keys);
  assert_true(np_table_bytes(&table) <= 72ull * keys);
  np_table_clear(&table);
}

static void survives_each_failed_allocation(void **state) {
  (void)state;
  int64_t live = np_alloc_live();
  for (int64_t fail = 1;; fail++) {
    np_table table;
    char key[64];
    np_status status = NP_OK;
    np_table_init(&table, 1);
    np_alloc_fail_at(fail);
    uint32_t i = 0;
    for (; i < KEYS && status == NP_OK; i++)
      status = np_table_add(&table, key, key_of(i, key), 1);
    bool failed = np_alloc_fail_at(0) == 0;
    if (failed) {
      assert_int_equal(status, NP_NOMEM);
      i--; /* That one changed nothing. */
      expect(&table, i, 0);
    }
    assert_int_equal(np_table_keys(&table), i);
    for (uint32_t done = 0; done < i; done++) expect(&table, done, 1);
    if (i < KEYS) /* It works on. */
      assert_int_equal(np_table_add(&table, key, key_of(i, key), 1), NP_OK);
    np_table_clear(&table);
    assert_int_equal(np_alloc_live(), live);
    if (!failed) return;
  }
}

static void loses_nothing_when_a_merge_fails(void **state) {
  (void)state;
  for (int64_t fail = 1;; fail++) {
    np_table into, from;
    np_table_init(&into, 9);
    np_table_init(&from, 9);
    fill(&into, 0, 2);
    fill(&from, 1, 2);
    np_alloc_fail_at(fail);
    for (uint32_t part = 0; part < NP_TABLE_PARTS; part++) {
      np_status status = np_table_merge_part(&into, &from, part);
      if (status == NP_NOMEM) status = np_table_merge_part(&into, &from, part);
      assert_int_equal(status, NP_OK);
    }
    bool failed = np_alloc_fail_at(0) == 0;
    np_table_adopt(&into, &from);
    for (uint32_t i = 0; i < KEYS; i++) expect(&into, i, i + 1);
    np_table_clear(&into);
    np_table_clear(&from);
    if (!failed) return;
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(counts_random_batches),
      cmocka_unit_test(tells_like_keys_apart),
      cmocka_unit_test(keeps_giant_keys),
      cmocka_unit_test(merges_part_by_part),
      cmocka_unit_test(holds_ten_million_keys_in_72_bytes_each),
      cmocka_unit_test(survives_each_failed_allocation),
      cmocka_unit_test(loses_nothing_when_a_merge_fails),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

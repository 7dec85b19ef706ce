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
#include "base/front.h"
#include "base/random.h"

#define KEYS 60000u /* more than there are slots */

static uint32_t key_of(uint32_t i, char *out) {
  return (uint32_t)sprintf(out, i % 50 ? "%u" : "a long key, number %u", i);
}

static void pour(np_table *table, const np_entry *entries, uint32_t n) {
  assert_int_equal(np_table_add_entries(table, entries, n), NP_OK);
}

/* Small keys are frequent: a draw below a draw below a draw. */
static uint32_t draw(np_random *random) {
  uint32_t bound = 1 + np_random_below(random, KEYS);
  bound = 1 + np_random_below(random, bound);
  return np_random_below(random, bound);
}

static void loses_no_count(void **state) {
  (void)state;
  np_front *front;
  np_table table;
  np_random random;
  np_entry out[NP_FRONT_BATCH];
  uint64_t *wanted = calloc(KEYS, sizeof *wanted), dropped = 0, items = 0;
  np_random_seed(&random, 6);
  np_table_init(&table, 11);
  assert_int_equal(np_front_open(&front, 11), NP_OK);
  for (int round = 0; round < 4000; round++) {
    char text[NP_FRONT_BATCH * 40 + NP_KEY_PADDING];
    uint32_t starts[NP_FRONT_BATCH], lengths[NP_FRONT_BATCH], used = 0;
    uint32_t n = np_random_below(&random, NP_FRONT_BATCH + 1);
    for (uint32_t i = 0; i < n; i++) {
      uint32_t key = draw(&random);
      starts[i] = used;
      lengths[i] = key_of(key, text + used);
      used += lengths[i];
      wanted[key] += 2;
    }
    uint32_t count = np_front_add(front, text, starts, lengths, n, 2, out);
    assert_true(count <= n);
    pour(&table, out, count);
    dropped += count;
    items += n;
  }
  assert_true(dropped < items / 2);
  for (uint32_t n; (n = np_front_drain(front, out)) > 0;) pour(&table, out, n);
  assert_int_equal(np_front_drain(front, out), 0);
  for (uint32_t i = 0; i < KEYS; i++) {
    char key[64];
    uint64_t count;
    np_table_find(&table, key, key_of(i, key), &count);
    assert_int_equal(count, wanted[i]);
  }
  np_table_clear(&table);
  np_front_free(front);
  free(wanted);
}

static void reports_no_memory(void **state) {
  (void)state;
  np_front *front;
  np_alloc_fail_at(1);
  assert_int_equal(np_front_open(&front, 0), NP_NOMEM);
  np_front_free(front);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(loses_no_count),
      cmocka_unit_test(reports_no_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

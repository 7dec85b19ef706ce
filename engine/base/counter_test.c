#include <pthread.h>
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
#include "base/counter.h"
#include "base/random.h"

#define WORKERS 4
#define BATCH 300
#define LIMIT ((uint64_t)1 << 20)
#define MANY ((uint32_t)(LIMIT / 32 + 5000))

typedef struct count_job {
  np_counting *counting;
  uint32_t worker, keys, rounds;
  np_status status;
} count_job;

/* Every tenth key is long. */
static uint32_t key_of(uint32_t i, char *out) {
  return (uint32_t)sprintf(out, i % 10 ? "k%u" : "a longer key than sixteen %u",
                           i);
}

/* Adds the keys worker, worker + 1, ... worker + keys - 1, `rounds` times. */
static np_status add_keys(const count_job *job) {
  np_counter *counter = np_counting_counter(job->counting, job->worker);
  char text[BATCH * 48 + NP_KEY_PADDING];
  uint32_t starts[BATCH], lengths[BATCH];
  for (uint32_t round = 0; round < job->rounds; round++) {
    for (uint32_t i = 0; i < job->keys;) {
      uint32_t n = 0, used = 0;
      for (; n < BATCH && i < job->keys; n++, i++) {
        starts[n] = used;
        lengths[n] = key_of(job->worker + i, text + used);
        used += lengths[n];
      }
      np_status status =
          np_counter_add_batch(counter, text, starts, lengths, n, 1);
      if (status != NP_OK) return status;
      memset(text, 0, sizeof text); /* The bytes may be reused at once. */
    }
  }
  return np_counter_finish(counter);
}

static void *run_job(void *argument) {
  count_job *job = argument;
  job->status = add_keys(job);
  return NULL;
}

static void *combine_steps(void *argument) {
  count_job *job = argument;
  while ((job->status = np_counting_combine_step(job->counting)) == NP_OK)
    continue;
  return NULL;
}

static void on_all(count_job *jobs, void *(*run)(void *), np_status wanted) {
  pthread_t threads[WORKERS];
  for (uint32_t i = 0; i < WORKERS; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, run, &jobs[i]), 0);
  for (uint32_t i = 0; i < WORKERS; i++) {
    pthread_join(threads[i], NULL);
    assert_int_equal(jobs[i].status, wanted);
  }
}

static uint64_t wanted_count(const count_job *jobs, uint32_t key) {
  uint64_t count = 0;
  for (uint32_t i = 0; i < WORKERS; i++)
    if (key >= jobs[i].worker && key < jobs[i].worker + jobs[i].keys)
      count += jobs[i].rounds;
  return count;
}

static void check(const np_counts *counts, const count_job *jobs,
                  uint32_t keys) {
  uint64_t distinct = 0, total = 0, seen = 0;
  for (uint32_t i = 0; i < keys; i++) {
    char key[64];
    uint64_t wanted = wanted_count(jobs, i);
    uint32_t length = key_of(i, key);
    assert_int_equal(np_counts_find(counts, key, length), wanted);
    distinct += wanted > 0;
    total += wanted;
  }
  assert_int_equal(np_counts_distinct(counts), distinct);
  np_counts_cursor cursor = {0, 0};
  for (np_counts_item item; np_counts_next(counts, &cursor, &item); seen++)
    total -= item.count;
  assert_int_equal(total, 0);
  assert_int_equal(seen, distinct);
}

/* sizes[i] keys for worker i; those that pass the limit hand over. */
static void count_on_threads(const uint32_t *sizes, bool together) {
  int64_t live = np_alloc_live();
  np_counting *counting;
  np_counts *counts;
  count_job jobs[WORKERS];
  uint32_t most = 0;
  assert_int_equal(np_counting_open(&counting, WORKERS, 5), NP_OK);
  np_counting_hand_over_at(counting, LIMIT);
  for (uint32_t i = 0; i < WORKERS; i++) {
    jobs[i] = (count_job){counting, i, sizes[i], i % 2 + 1, NP_OK};
    if (sizes[i] > most) most = sizes[i];
  }
  on_all(jobs, run_job, NP_OK);
  assert_true(np_counting_bytes(counting) > 0 || most == 0);
  assert_true(np_counting_keys(counting) >= most);
  if (together) on_all(jobs, combine_steps, NP_DONE);
  assert_int_equal(np_counting_combine(counting, &counts), NP_OK);
  np_counting_free(counting);
  check(counts, jobs, most + WORKERS);
  np_counts_free(counts);
  assert_int_equal(np_alloc_live(), live);
}

static void combines_own_tables(void **state) {
  (void)state;
  count_on_threads((uint32_t[]){0, 0, 0, 0}, false);
  count_on_threads((uint32_t[]){1000, 10, 0, 50000}, false);
  count_on_threads((uint32_t[]){1000, 10, 0, 50000}, true);
}

static void combines_what_was_handed_over(void **state) {
  (void)state;
  count_on_threads((uint32_t[]){MANY, MANY, MANY, MANY}, false);
  count_on_threads((uint32_t[]){MANY, 10, MANY, 20000}, true);
}

static void abandons_half_way(void **state) {
  (void)state;
  int64_t live = np_alloc_live();
  np_counting *counting;
  assert_int_equal(np_counting_open(&counting, 2, 5), NP_OK);
  np_counting_hand_over_at(counting, LIMIT);
  np_counter *counter = np_counting_counter(counting, 1);
  for (uint32_t i = 0; i < MANY; i++) {
    char key[64];
    assert_int_equal(np_counter_add(counter, key, key_of(i, key), 1), NP_OK);
  }
  np_counting_free(counting);
  assert_int_equal(np_alloc_live(), live);
}

static void add_one(np_counting *counting, const char *key, size_t length,
                    uint64_t count) {
  np_counter *counter = np_counting_counter(counting, 0);
  assert_int_equal(np_counter_add(counter, key, (uint32_t)length, count),
                   NP_OK);
}

static void ranks_ties_by_bytes(void **state) {
  (void)state;
  static const char *const order[] = {
      "zz", "", "A", "a", "a longer one than sixteen bytes", "ab", "b", "\xff"};
  np_counting *counting;
  np_counts *counts;
  np_counts_item top[10];
  uint32_t n;
  assert_int_equal(np_counting_open(&counting, 1, 5), NP_OK);
  for (size_t i = 8; i-- > 0;)
    add_one(counting, order[i], strlen(order[i]), i == 0 ? 2 : 1);
  assert_int_equal(np_counter_finish(np_counting_counter(counting, 0)), NP_OK);
  assert_int_equal(np_counting_combine(counting, &counts), NP_OK);
  np_counting_free(counting);
  for (uint32_t k = 0; k <= 10; k++) {
    np_counts_top(counts, k, top, &n);
    assert_int_equal(n, k < 8 ? k : 8);
    for (uint32_t i = 0; i < n; i++) {
      assert_int_equal(top[i].length, strlen(order[i]));
      assert_memory_equal(top[i].key, order[i], top[i].length);
    }
  }
  np_counts_free(counts);
}

static void ranks_parts_apart_as_together(void **state) {
  (void)state;
  np_random random;
  np_random_seed(&random, 3);
  np_counting *counting;
  np_counts *counts;
  assert_int_equal(np_counting_open(&counting, 1, 5), NP_OK);
  for (uint32_t i = 0; i < 2000; i++) {
    char key[64];
    add_one(counting, key, key_of(i, key), 1 + np_random_below(&random, 50));
  }
  assert_int_equal(np_counter_finish(np_counting_counter(counting, 0)), NP_OK);
  assert_int_equal(np_counting_combine(counting, &counts), NP_OK);
  np_counting_free(counting);
  for (uint32_t k = 1; k < 3000; k = k * 2 + 1) {
    np_counts_item *all = calloc(k, sizeof *all),
                   *some = calloc(k, sizeof *all);
    np_counts_item *folded = calloc(k, sizeof *all);
    uint32_t n, m, total = 0, parts = np_counts_parts(counts);
    np_counts_top(counts, k, all, &n);
    for (uint32_t first = 0; first < parts; first += 3) {
      np_counts_top_parts(counts, first, first + 3, k, some, &m);
      np_counts_top_fold(folded, &total, k, some, m);
    }
    assert_int_equal(total, n);
    for (uint32_t i = 0; i < n; i++) {
      assert_ptr_equal(all[i].key, folded[i].key);
      assert_true(i == 0 || all[i].count <= all[i - 1].count);
    }
    free(all);
    free(some);
    free(folded);
  }
  np_counts_free(counts);
}

static void ends_clean_after_each_failed_allocation(void **state) {
  (void)state;
  int64_t live = np_alloc_live();
  int failures = 0;
  for (int64_t fail = 1; fail < 100000; fail += 1 + fail / 8) {
    np_counting *counting = NULL;
    np_counts *counts = NULL;
    np_alloc_fail_at(fail);
    np_status status = np_counting_open(&counting, 2, 5);
    if (status == NP_OK) np_counting_hand_over_at(counting, LIMIT);
    for (uint32_t worker = 0; worker < 2 && status == NP_OK; worker++) {
      count_job job = {counting, worker, worker == 0 ? MANY : 3000, 1, NP_OK};
      status = add_keys(&job);
    }
    if (status == NP_OK) status = np_counting_combine(counting, &counts);
    bool failed = np_alloc_fail_at(0) == 0;
    assert_int_equal(status, failed ? NP_NOMEM : NP_OK);
    np_counting_free(counting);
    np_counts_free(counts);
    assert_int_equal(np_alloc_live(), live);
    failures += failed;
    if (!failed) break;
  }
  assert_true(failures > 20);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(combines_own_tables),
      cmocka_unit_test(combines_what_was_handed_over),
      cmocka_unit_test(abandons_half_way),
      cmocka_unit_test(ranks_ties_by_bytes),
      cmocka_unit_test(ranks_parts_apart_as_together),
      cmocka_unit_test(ends_clean_after_each_failed_allocation),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

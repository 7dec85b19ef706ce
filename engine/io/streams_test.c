#include "io/blocks_test.h"

/* Writes text to a pipe in pieces. */
typedef struct writer {
  char path[128];
  const char *bytes;
  uint32_t length;
} writer;

static void *write_pipe(void *argument) {
  writer *job = argument;
  np_random random;
  np_random_seed(&random, job->length);
  int fd = open(job->path, O_WRONLY);
  assert_true(fd >= 0);
  for (uint32_t at = 0; at < job->length;) {
    uint32_t wanted = 1 + np_random_below(&random, 3000);
    if (wanted > job->length - at) wanted = job->length - at;
    ssize_t got = write(fd, job->bytes + at, wanted);
    assert_true(got > 0);
    at += (uint32_t)got;
    if (at % 7 == 0) sched_yield();
  }
  close(fd);
  return NULL;
}

static void read_pipe(const char *bytes, uint32_t length, uint32_t block_size,
                      uint32_t max, item_list *got, uint32_t limits) {
  writer job = {.bytes = bytes, .length = length};
  pthread_t thread;
  path_of(job.path, "pipe");
  unlink(job.path);
  assert_int_equal(mkfifo(job.path, 0600), 0);
  np_blocks *blocks = open_blocks(job.path, NULL, block_size, max);
  assert_int_equal(pthread_create(&thread, NULL, write_pipe, &job), 0);
  assert_int_equal(read_with(blocks, NULL, got, 2, false), limits);
  pthread_join(thread, NULL);
  assert_int_equal(np_blocks_problem_count(blocks), limits);
  np_blocks_free(blocks);
}

static void reads_a_pipe_in_whole_lines(void **state) {
  (void)state;
  uint32_t length = 200000;
  char *bytes = malloc(length);
  np_random random;
  np_random_seed(&random, 5);
  for (uint32_t i = 0; i < length; i++)
    bytes[i] = "abcdefg\n"[np_random_below(&random, 8)];
  memset(bytes + 50000, 'x', 30000); /* longer than the blocks */
  for (uint32_t size = 100; size <= 1000000; size *= 100) {
    item_list got, wanted;
    items_init(&got);
    items_init(&wanted);
    read_pipe(bytes, length, size, 0, &got, 0);
    items_add(&wanted, NULL, bytes, length);
    assert_same_items(&got, &wanted);
    items_free(&got);
    items_free(&wanted);
  }
  free(bytes);
}

static void skips_a_line_over_the_limit_in_a_pipe(void **state) {
  (void)state;
  uint32_t length = 120000;
  char *bytes = malloc(length);
  item_list got;
  memset(bytes, 'x', length);
  memcpy(bytes, "first\n", 6);
  memcpy(bytes + length - 6, "\nlast\n", 6);
  items_init(&got);
  read_pipe(bytes, length, 1000, 5000, &got, 1);
  assert_int_equal(got.count, 2);
  items_free(&got);
  free(bytes);
}

static void never_waits_for_a_pipe(void **state) {
  (void)state;
  int ends[2];
  char path[32];
  np_reader *reader;
  np_block block;
  assert_int_equal(pipe(ends), 0);
  snprintf(path, sizeof path, "/proc/self/fd/%d", ends[0]);
  np_blocks *blocks = open_blocks(path, NULL, 0, 0);
  assert_int_equal(np_reader_open(&reader, blocks), NP_OK);
  assert_int_equal(np_reader_next(reader, &block), NP_AGAIN);
  assert_true(np_blocks_wait_fd(blocks) >= 0);
  assert_int_equal(write(ends[1], "whole\npart", 10), 10);
  assert_int_equal(np_reader_next(reader, &block), NP_OK);
  assert_int_equal(block.length, 6);
  assert_int_equal(np_reader_next(reader, &block), NP_AGAIN);
  close(ends[1]);
  assert_int_equal(np_reader_next(reader, &block), NP_OK);
  assert_int_equal(block.length, 5); /* "part" and the glue */
  assert_int_equal(np_reader_next(reader, &block), NP_DONE);
  assert_int_equal(np_blocks_wait_fd(blocks), -1);
  np_reader_close(reader);
  np_blocks_free(blocks);
  close(ends[0]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      WITH_ROOT(reads_a_pipe_in_whole_lines),
      WITH_ROOT(skips_a_line_over_the_limit_in_a_pipe),
      cmocka_unit_test(never_waits_for_a_pipe),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "io/blocks_test.h"

static void check_tree(const np_class *separators, item_list *wanted,
                       uint32_t block_size, uint32_t readers, uint64_t bytes) {
  item_list got;
  np_blocks_progress progress;
  items_init(&got);
  np_blocks *blocks = open_blocks(root, separators, block_size, 0);
  assert_int_equal(read_with(blocks, separators, &got, readers, true), 0);
  assert_same_items(&got, wanted);
  np_blocks_progress_get(blocks, &progress);
  assert_int_equal(progress.bytes_read, bytes);
  assert_int_equal(progress.bytes_known, bytes);
  assert_true(progress.all_known);
  assert_int_equal(np_blocks_problem_count(blocks), 0);
  np_blocks_free(blocks);
  items_free(&got);
}

static void cuts_at_any_offset(void **state) {
  static const char alphabet[] = "abc  \n\n\t\0\xff";
  np_class space, inverse;
  np_random random;
  (void)state;
  np_random_seed(&random, 4);
  np_class_space(&space);
  assert_int_equal(np_class_parse(&inverse, "[^b]+", 5), NP_OK);
  const np_class *const kinds[] = {NULL, &space, &inverse};
  for (uint32_t size = 1; size < 80; size += 1 + size / 9) {
    item_list wanted[3];
    uint64_t total = 0;
    for (int k = 0; k < 3; k++) items_init(&wanted[k]);
    for (int file = 0; file < 8; file++) {
      char name[16], bytes[300];
      uint32_t length = file == 0 ? 0 : np_random_below(&random, 300);
      uint32_t letters = 3 + np_random_below(&random, sizeof alphabet - 4);
      for (uint32_t i = 0; i < length; i++)
        bytes[i] = alphabet[np_random_below(&random, letters)];
      sprintf(name, "f%d", file);
      write_file(name, bytes, length);
      total += length;
      for (int k = 0; k < 3; k++)
        items_add(&wanted[k], kinds[k], bytes, length);
    }
    for (int k = 0; k < 3; k++) {
      check_tree(kinds[k], &wanted[k], size, 1, total);
      check_tree(kinds[k], &wanted[k], size, READERS, total);
      check_tree(kinds[k], &wanted[k], 0, 2, total);
      items_free(&wanted[k]);
    }
  }
}

static void shares_one_large_file(void **state) {
  (void)state;
  uint32_t count = 60000, used = 0;
  char *bytes = calloc(count, 40);
  if (bytes == NULL) abort();
  item_list wanted;
  items_init(&wanted);
  for (uint32_t i = 0; i < count; i++)
    used += (uint32_t)sprintf(bytes + used, "line %u of the file%s", i,
                              i + 1 < count ? "\n" : "");
  write_file("large", bytes, used);
  items_add(&wanted, NULL, bytes, used);
  check_tree(NULL, &wanted, 4096, READERS, used);
  check_tree(NULL, &wanted, 0, READERS, used);
  items_free(&wanted);
  free(bytes);
}

static void passes_lines_longer_than_a_block(void **state) {
  (void)state;
  uint32_t length = 3000000;
  char *bytes = malloc(length);
  item_list wanted;
  items_init(&wanted);
  memset(bytes, 'x', length);
  bytes[10] = bytes[1000000] = bytes[1000001] = bytes[2900000] = '\n';
  write_file("long", bytes, length);
  write_file("short", "a\nb", 3);
  items_add(&wanted, NULL, bytes, length);
  items_add(&wanted, NULL, "a\nb", 3);
  check_tree(NULL, &wanted, 1000, READERS, length + 3);
  check_tree(NULL, &wanted, 65536, 1, length + 3);
  items_free(&wanted);
  free(bytes);
}

static void names_a_line_over_the_limit(void **state) {
  (void)state;
  uint32_t length = 100000;
  char *bytes = malloc(length), path[128];
  item_list got;
  np_walk_problem problem;
  memset(bytes, 'x', length);
  memcpy(bytes, "first\n", 6);
  memcpy(bytes + 80000, "\nlast\n", 6);
  write_file("long", bytes, 80006);
  path_of(path, "long");
  for (uint32_t readers = 1; readers <= READERS; readers += 3) {
    items_init(&got);
    np_blocks *blocks = open_blocks(root, NULL, 1000, 5000);
    assert_int_equal(read_with(blocks, NULL, &got, readers, true), 1);
    assert_int_equal(got.count, 2);
    assert_true(np_blocks_take_problem(blocks, &problem));
    assert_int_equal(problem.error, EFBIG);
    assert_int_equal(problem.offset, 6);
    assert_string_equal(problem.path, path);
    np_free(problem.path);
    assert_false(np_blocks_take_problem(blocks, &problem));
    np_blocks_free(blocks);
    items_free(&got);
  }
  free(bytes);
}

static void names_files_it_cannot_read(void **state) {
  (void)state;
  np_walk_problem problem;
  np_block block;
  np_reader *reader;
  char path[128];
  write_file("here", "x", 1);
  np_blocks *blocks;
  path_of(path, "here");
  const char *starts[] = {path, "/proc/self/mem", "/nowhere"};
  np_blocks_options options = {.starts = starts, .start_count = 3};
  assert_int_equal(np_blocks_open(&blocks, &options), NP_OK);
  assert_int_equal(np_reader_open(&reader, blocks), NP_OK);
  assert_int_equal(np_reader_next(reader, &block), NP_OK);
  assert_int_equal(block.length, 2);
  assert_memory_equal(block.bytes, "x\n", 2);
  assert_int_equal(np_reader_next(reader, &block), NP_DONE);
  assert_true(np_blocks_take_problem(blocks, &problem));
  assert_int_equal(problem.error, EIO);
  np_free(problem.path);
  assert_true(np_blocks_take_problem(blocks, &problem));
  assert_int_equal(problem.error, ENOENT);
  np_free(problem.path);
  np_reader_close(reader);
  np_blocks_free(blocks);
}

/* Grows and shrinks a file until it is told to stop. */
typedef struct changer {
  char path[128];
  _Atomic bool stop;
} changer;

static void *change(void *argument) {
  changer *job = argument;
  char line[100];
  memset(line, 'z', sizeof line);
  line[99] = '\n';
  while (!job->stop) {
    int fd = open(job->path, O_WRONLY | O_APPEND);
    for (int i = 0; i < 400; i++)
      assert_int_equal(write(fd, line, sizeof line), (ssize_t)sizeof line);
    assert_int_equal(ftruncate(fd, 50), 0);
    close(fd);
  }
  return NULL;
}

static void survives_files_that_change(void **state) {
  (void)state;
  changer job = {.stop = false};
  pthread_t thread;
  path_of(job.path, "changing");
  write_file("changing", "x\n", 2);
  assert_int_equal(pthread_create(&thread, NULL, change, &job), 0);
  for (int round = 0; round < 200; round++) {
    item_list got;
    items_init(&got);
    np_blocks *blocks = open_blocks(root, NULL, 1000, 0);
    read_with(blocks, NULL, &got, 2, false);
    np_blocks_free(blocks);
    items_free(&got);
  }
  job.stop = true;
  pthread_join(thread, NULL);
}

static void loses_nothing_when_an_allocation_fails(void **state) {
  (void)state;
  int64_t live = np_alloc_live();
  char *bytes = malloc(30000);
  item_list wanted;
  items_init(&wanted);
  for (int i = 0; i < 30000; i++) bytes[i] = i % 5000 == 4999 ? '\n' : 'x';
  write_file("long", bytes, 30000);
  items_add(&wanted, NULL, bytes, 30000);
  for (int i = 0; i < 100; i++) {
    char name[16];
    sprintf(name, "f%d", i);
    write_file(name, bytes, 10);
    items_add(&wanted, NULL, bytes, 10);
  }
  for (int64_t fail = 1;; fail++) {
    np_reader *reader = NULL;
    np_block block;
    np_blocks *blocks = NULL;
    np_blocks_options options = {.starts = (const char *const[]){root},
                                 .start_count = 1,
                                 .block_size = 1500};
    item_list got;
    items_init(&got);
    np_alloc_fail_at(fail);
    np_status status = np_blocks_open(&blocks, &options);
    if (status == NP_OK) status = np_reader_open(&reader, blocks);
    bool opened = status == NP_OK;
    while (opened && (status = np_reader_next(reader, &block)) != NP_DONE)
      if (status == NP_OK) items_add(&got, NULL, block.bytes, block.length);
    bool failed = np_alloc_fail_at(0) == 0;
    if (!opened) assert_int_equal(status, NP_NOMEM);
    if (opened && np_blocks_problem_count(blocks) == 0)
      assert_same_items(&got, &wanted);
    np_reader_close(reader);
    np_blocks_free(blocks);
    items_free(&got);
    assert_int_equal(np_alloc_live(), live);
    if (!failed) break;
  }
  items_free(&wanted);
  free(bytes);
}

static void refuses_nonsense(void **state) {
  (void)state;
  np_blocks *blocks;
  np_class none;
  np_class_make(&none, (const uint64_t[4]){0, 0, 0, 0});
  np_blocks_options options = {.separators = &none};
  assert_int_equal(np_blocks_open(&blocks, &options), NP_RANGE);
  options = (np_blocks_options){.max = UINT32_MAX};
  assert_int_equal(np_blocks_open(&blocks, &options), NP_RANGE);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      WITH_ROOT(cuts_at_any_offset),
      WITH_ROOT(shares_one_large_file),
      WITH_ROOT(passes_lines_longer_than_a_block),
      WITH_ROOT(names_a_line_over_the_limit),
      WITH_ROOT(names_files_it_cannot_read),
      WITH_ROOT(survives_files_that_change),
      WITH_ROOT(loses_nothing_when_an_allocation_fails),
      cmocka_unit_test(refuses_nonsense),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

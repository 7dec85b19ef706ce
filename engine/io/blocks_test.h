/* blocks_test.h - what the tests of blocks.c and streams.c share: a directory
 * for files, lists of items to compare, and readers on threads. */
#ifndef NP_IO_BLOCKS_TEST_H
#define NP_IO_BLOCKS_TEST_H
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/random.h"
#include "io/blocks.h"

#define READERS 4
#define LINES 200000

static char root[64];

static int begin(void **state) {
  (void)state;
  strcpy(root, "/tmp/np_blocks_XXXXXX");
  return mkdtemp(root) == NULL;
}

static int end(void **state) {
  char command[256];
  (void)state;
  snprintf(command, sizeof command, "rm -rf %s", root);
  return system(command);
}

static void path_of(char *out, const char *name) {
  snprintf(out, 128, "%s/%s", root, name);
}

static inline void write_file(const char *name, const char *bytes,
                              size_t length) {
  char path[128];
  path_of(path, name);
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  assert_int_equal(fwrite(bytes, 1, length, file), length);
  assert_int_equal(fclose(file), 0);
}

/* The items (lines, or words between separators) of some text. */
typedef struct item_list {
  char **list;
  uint32_t count;
  pthread_mutex_t lock;
} item_list;

static void items_init(item_list *out) {
  *out = (item_list){.lock = PTHREAD_MUTEX_INITIALIZER};
  out->list = malloc(LINES * sizeof *out->list);
}

/* Lines keep what is between newlines, words drop what is empty. */
static void items_add(item_list *items, const np_class *separators,
                      const char *bytes, size_t length) {
  bool lines = separators == NULL;
  for (size_t start = 0; start < length;) {
    size_t at = start;
    while (at < length &&
           (lines ? bytes[at] != '\n'
                  : !np_class_has(separators, (uint8_t)bytes[at])))
      at++;
    if (lines || at > start) {
      char *copy = malloc(at - start + 1);
      memcpy(copy, bytes + start, at - start);
      copy[at - start] = 0;
      assert_true(items->count < LINES);
      items->list[items->count++] = copy;
    }
    start = at + 1;
  }
}

static int by_text(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

static void items_free(item_list *items) {
  for (uint32_t i = 0; i < items->count; i++) free(items->list[i]);
  free(items->list);
}

static void assert_same_items(item_list *got, item_list *wanted) {
  qsort(got->list, got->count, sizeof *got->list, by_text);
  qsort(wanted->list, wanted->count, sizeof *wanted->list, by_text);
  assert_int_equal(got->count, wanted->count);
  for (uint32_t i = 0; i < got->count; i++)
    assert_string_equal(got->list[i], wanted->list[i]);
}

typedef struct reading {
  np_blocks *blocks;
  const np_class *separators;
  item_list *items;
  bool check_files; /* the files do not change meanwhile */
  uint32_t limits;
} reading;

/* Each piece of a block stands in its file where the table says. */
static void check_pieces(const np_block *block) {
  assert_true(block->file_count >= 1);
  assert_int_equal(block->files[0].offset, 0);
  for (uint32_t i = 0; i < block->file_count; i++) {
    const np_block_file *piece = &block->files[i];
    uint32_t stop = i + 1 < block->file_count ? piece[1].offset : block->length;
    assert_true(stop > piece->offset);
    uint32_t length = stop - piece->offset;
    char *bytes = malloc(length);
    int fd = open(block->paths + piece->path, O_RDONLY);
    assert_true(fd >= 0);
    ssize_t got = pread(fd, bytes, length, (off_t)piece->file_offset);
    assert_true(got == (ssize_t)length || got == (ssize_t)length - 1);
    assert_memory_equal(bytes, block->bytes + piece->offset, (size_t)got);
    close(fd);
    free(bytes);
  }
}

static void *read_all(void *argument) {
  reading *job = argument;
  np_reader *reader;
  np_block block;
  np_status status;
  assert_int_equal(np_reader_open(&reader, job->blocks), NP_OK);
  while ((status = np_reader_next(reader, &block)) != NP_DONE) {
    if (status == NP_OK) {
      assert_true(block.length > 0);
      if (job->check_files) check_pieces(&block);
      pthread_mutex_lock(&job->items->lock);
      items_add(job->items, job->separators, block.bytes, block.length);
      pthread_mutex_unlock(&job->items->lock);
    } else if (status == NP_LIMIT) {
      job->limits++;
    } else {
      assert_int_equal(status, NP_AGAIN);
      sched_yield();
    }
  }
  np_reader_close(reader);
  return NULL;
}

static uint32_t read_with(np_blocks *blocks, const np_class *separators,
                          item_list *got, uint32_t readers, bool check_files) {
  pthread_t threads[READERS];
  reading jobs[READERS];
  uint32_t limits = 0;
  for (uint32_t i = 0; i < readers; i++) {
    jobs[i] = (reading){blocks, separators, got, check_files, 0};
    assert_int_equal(pthread_create(&threads[i], NULL, read_all, &jobs[i]), 0);
  }
  for (uint32_t i = 0; i < readers; i++) {
    pthread_join(threads[i], NULL);
    limits += jobs[i].limits;
  }
  return limits;
}

static np_blocks *open_blocks(const char *start, const np_class *separators,
                              uint32_t block_size, uint32_t max) {
  np_blocks *blocks;
  np_blocks_options options = {.starts = &start,
                               .start_count = 1,
                               .separators = separators,
                               .block_size = block_size,
                               .max = max};
  assert_int_equal(np_blocks_open(&blocks, &options), NP_OK);
  return blocks;
}

#define WITH_ROOT(test) cmocka_unit_test_setup_teardown(test, begin, end)

#endif

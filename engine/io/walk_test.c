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
#include "io/walk.h"

#define READERS 4

static char root[64];

static void make_file(const char *name) {
  char path[512];
  snprintf(path, sizeof path, "%s/%s", root, name);
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  assert_true(fd >= 0);
  close(fd);
}

static void make_dir(const char *name) {
  char path[512];
  snprintf(path, sizeof path, "%s/%s", root, name);
  assert_int_equal(mkdir(path, 0700), 0);
}

static int begin(void **state) {
  (void)state;
  strcpy(root, "/tmp/np_walk_XXXXXX");
  return mkdtemp(root) == NULL;
}

static int end(void **state) {
  char command[256];
  (void)state;
  snprintf(command, sizeof command, "chmod -R u+rwx %s; rm -rf %s", root, root);
  return system(command);
}

/* All paths that four readers find, sorted, one a line; `root` is left out. */
typedef struct found {
  np_walk *walk;
  pthread_mutex_t lock;
  char *paths[4096];
  uint32_t count;
} found;

static void *read_all(void *argument) {
  found *all = argument;
  np_walk_cursor *cursor;
  np_walk_file file;
  np_status status;
  assert_int_equal(np_walk_cursor_open(&cursor, all->walk), NP_OK);
  while ((status = np_walk_next(cursor, &file)) != NP_DONE) {
    if (status == NP_AGAIN) {
      sched_yield();
      continue;
    }
    size_t length = np_walk_path(&file, NULL, 0);
    char *path = malloc(length + 1);
    assert_int_equal(np_walk_path(&file, path, length + 1), length);
    assert_int_equal(strlen(path), length);
    if (file.kind == NP_WALK_FILE) { /* It can be opened as told. */
      int fd = openat(file.directory, file.name, file.flags);
      assert_true(fd >= 0);
      close(fd);
    }
    pthread_mutex_lock(&all->lock);
    all->paths[all->count++] = path;
    pthread_mutex_unlock(&all->lock);
  }
  np_walk_cursor_close(cursor);
  return NULL;
}

static int by_name(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

static void walk(found *all, const char *const *starts, uint32_t count) {
  pthread_t threads[READERS];
  *all = (found){.lock = PTHREAD_MUTEX_INITIALIZER};
  assert_int_equal(np_walk_open(&all->walk, starts, count), NP_OK);
  for (int i = 0; i < READERS; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, read_all, all), 0);
  for (int i = 0; i < READERS; i++) pthread_join(threads[i], NULL);
  assert_true(np_walk_is_exhausted(all->walk));
  qsort(all->paths, all->count, sizeof *all->paths, by_name);
}

static void finish(found *all) {
  for (uint32_t i = 0; i < all->count; i++) free(all->paths[i]);
  np_walk_free(all->walk);
}

/* `wanted` has each path behind the root followed by a space. */
static void expect_walk(const char *start, const char *wanted) {
  char full[512], got[4096] = "";
  size_t length = 0;
  found all;
  snprintf(full, sizeof full, "%s%s", root, start);
  walk(&all, (const char *const[]){full}, 1);
  for (uint32_t i = 0; i < all.count; i++) {
    assert_memory_equal(all.paths[i], root, strlen(root));
    length += (size_t)snprintf(got + length, sizeof got - length, "%s ",
                               all.paths[i] + strlen(root));
  }
  assert_string_equal(got, wanted);
  assert_int_equal(np_walk_problem_count(all.walk), 0);
  finish(&all);
}

static void make_tree(void) {
  make_dir("d");
  make_dir("d/e");
  make_dir("d/empty");
  make_dir("d/.hid");
  make_file("d/a.c");
  make_file("d/b.h");
  make_file("d/.dot");
  make_file("d/e/c.c");
  make_file("d/.hid/f.c");
  make_file("one[1].log");
  char path[256], target[256];
  snprintf(path, sizeof path, "%s/d/link.c", root);
  assert_int_equal(symlink("a.c", path), 0);
  snprintf(path, sizeof path, "%s/d/loop", root);
  assert_int_equal(symlink("..", path), 0);
  snprintf(path, sizeof path, "%s/start", root);
  snprintf(target, sizeof target, "%s/d", root);
  assert_int_equal(symlink(target, path), 0);
  snprintf(path, sizeof path, "%s/d/fifo", root);
  assert_int_equal(mkfifo(path, 0600), 0);
}

static void finds_what_a_start_names(void **state) {
  (void)state;
  make_tree();
  expect_walk("/d", "/d/.dot /d/.hid/f.c /d/a.c /d/b.h /d/e/c.c ");
  expect_walk("/d/", "/d/.dot /d/.hid/f.c /d/a.c /d/b.h /d/e/c.c ");
  expect_walk("/start", "/start/.dot /start/.hid/f.c /start/a.c /start/b.h "
                        "/start/e/c.c ");
  expect_walk("/d/link.c", "/d/link.c ");
  expect_walk("/d/empty", "");
  expect_walk("/d/*.c", "/d/a.c ");
  expect_walk("/**/*.c", "/d/a.c /d/e/c.c ");
  expect_walk("/d/.*/*", "/d/.hid/f.c ");
  expect_walk("/d/**", "/d/a.c /d/b.h /d/e/c.c ");
  expect_walk("/?/[ab].*", "/d/a.c /d/b.h ");
  expect_walk("/one[1].log", "/one[1].log ");
  expect_walk("/one?1].log", "/one[1].log ");
  expect_walk("/*.none", "");
  expect_walk("/d/fifo", "/d/fifo ");
}

static void tells_streams_from_files(void **state) {
  (void)state;
  np_walk *walk;
  np_walk_cursor *cursor;
  np_walk_file file;
  assert_int_equal(np_walk_open(&walk, (const char *const[]){"-", "/dev/null"},
                                2),
                   NP_OK);
  assert_int_equal(np_walk_cursor_open(&cursor, walk), NP_OK);
  assert_int_equal(np_walk_next(cursor, &file), NP_OK);
  assert_int_equal(file.kind, NP_WALK_STDIN);
  assert_int_equal(np_walk_next(cursor, &file), NP_OK);
  assert_int_equal(file.kind, NP_WALK_STREAM);
  assert_int_equal(np_walk_next(cursor, &file), NP_DONE);
  np_walk_cursor_close(cursor);
  np_walk_free(walk);
}

static void shares_wide_and_deep_trees(void **state) {
  (void)state;
  char name[4000];
  for (int i = 0; i < 500; i++) {
    snprintf(name, sizeof name, "wide%d", i);
    make_file(name);
  }
  for (int i = 0; i < 300; i++) {
    snprintf(name, sizeof name, "dir%d", i);
    make_dir(name);
    snprintf(name, sizeof name, "dir%d/file", i);
    make_file(name);
  }
  name[0] = 0;
  for (int i = 0; i < 200; i++) {
    size_t length = strlen(name);
    snprintf(name + length, sizeof name - length, i == 0 ? "x" : "/x");
    make_dir(name);
  }
  found all;
  walk(&all, (const char *const[]){root}, 1);
  assert_int_equal(all.count, 800);
  for (uint32_t i = 1; i < all.count; i++)
    assert_string_not_equal(all.paths[i], all.paths[i - 1]);
  assert_int_equal(np_walk_problem_count(all.walk), 0);
  finish(&all);
}

static void reports_what_it_cannot_find(void **state) {
  (void)state;
  found all;
  np_walk_problem problem;
  walk(&all, (const char *const[]){"/nowhere", "/nowhere/*.c"}, 2);
  assert_int_equal(all.count, 0);
  assert_int_equal(np_walk_problem_count(all.walk), 2);
  for (int i = 0; i < 2; i++) {
    assert_true(np_walk_take_problem(all.walk, &problem));
    assert_int_equal(problem.error, ENOENT);
    assert_string_equal(problem.path, "/nowhere");
    np_free(problem.path);
  }
  assert_false(np_walk_take_problem(all.walk, &problem));
  for (int i = 0; i < 2000; i++) np_walk_report(all.walk, "x", EIO, 7);
  assert_int_equal(np_walk_problem_count(all.walk), 2002);
  int kept = 0;
  for (; np_walk_take_problem(all.walk, &problem); kept++)
    np_free(problem.path);
  assert_int_equal(kept, 1024);
  finish(&all);
}

static void may_be_left_half_way(void **state) {
  (void)state;
  int64_t live = np_alloc_live();
  make_tree();
  for (int steps = 0; steps < 6; steps++) {
    np_walk *walk;
    np_walk_cursor *cursor;
    np_walk_file file;
    assert_int_equal(np_walk_open(&walk, (const char *const[]){root}, 1),
                     NP_OK);
    assert_int_equal(np_walk_cursor_open(&cursor, walk), NP_OK);
    for (int i = 0; i < steps; i++) np_walk_next(cursor, &file);
    np_walk_cursor_close(cursor);
    np_walk_free(walk);
  }
  assert_int_equal(np_alloc_live(), live);
}

static void reports_each_failed_allocation(void **state) {
  (void)state;
  int64_t live = np_alloc_live();
  make_tree();
  char pattern[256];
  snprintf(pattern, sizeof pattern, "%s/**/*", root);
  for (int64_t fail = 1;; fail++) {
    np_walk *walk;
    np_walk_cursor *cursor = NULL;
    np_walk_file file;
    uint32_t count = 0;
    np_alloc_fail_at(fail);
    np_status status =
        np_walk_open(&walk, (const char *const[]){root, pattern}, 2);
    if (status == NP_OK) status = np_walk_cursor_open(&cursor, walk);
    while (status == NP_OK) {
      status = np_walk_next(cursor, &file);
      count += status == NP_OK;
    }
    bool failed = np_alloc_fail_at(0) == 0;
    uint64_t problems =
        walk != NULL && cursor != NULL ? np_walk_problem_count(walk) : 1;
    assert_int_equal(problems > 0, failed);
    if (!failed) assert_int_equal(count, 6 + 4);
    np_walk_cursor_close(cursor);
    np_walk_free(walk);
    assert_int_equal(np_alloc_live(), live);
    if (!failed) return;
  }
}

#define WITH_ROOT(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void) {
  const struct CMUnitTest tests[] = {
      WITH_ROOT(finds_what_a_start_names),
      cmocka_unit_test(tells_streams_from_files),
      WITH_ROOT(shares_wide_and_deep_trees),
      cmocka_unit_test(reports_what_it_cannot_find),
      WITH_ROOT(may_be_left_half_way),
      WITH_ROOT(reports_each_failed_allocation),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Conformance section 12, with trees of files in place of /proc and /sys. */
#include <ftw.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/thread.h"
#include "sched/quota.h"

static char root[] = "/tmp/neap-quota-XXXXXX";

/* --- texts: CG-01 to CG-03 ------------------------------------------------ */

static void test_v2_texts(void **state) {
  (void)state;
  const struct {
    const char *text;
    double limit; /* 0: none */
  } rows[] = {{"max 100000", 0},
              {"max 100000\n", 0},
              {"max", 0},
              {"500000 100000", 5},
              {"500000 100000\n", 5},
              {"50000 100000\n", 0.5},
              {"250000 100000\n", 2.5},
              {"500000", 5},
              {"500000\n", 5},
              {"9223372036854775807 9223372036854775807\n", 1},
              {"9223372036854775808 100000", 0},
              {"500000 0", 0},
              {"500000 -100000", 0},
              {"-500000 100000", 0},
              {"\t-500000 100000", 0},
              {"500000 100000 1", 0},
              {"500000x 100000", 0},
              {"500000 100000x", 0},
              {"asdf 100000", 0},
              {"100000 asdf", 0},
              {"100000 max", 0},
              {"", 0},
              {"\n", 0},
              {" ", 0},
              {"-", 0}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    double limit = -1;
    bool found = np_quota_parse_v2(rows[i].text, &limit);
    if (found != (rows[i].limit != 0) || (found && limit != rows[i].limit))
      fail_msg("\"%s\": %d, %g", rows[i].text, found, limit);
  }
}

static void test_v1_texts(void **state) {
  (void)state;
  const struct {
    const char *quota, *period;
    double limit;
  } rows[] = {{"600000\n", "100000\n", 6}, {"600000", "100000", 6},
              {"-1\n", "100000\n", 0},     {"600000\n", "0\n", 0},
              {"600000\n", "", 0},         {"", "100000", 0},
              {"asdf\n", "100000\n", 0},   {"600000\n", "asdf\n", 0},
              {"600000 1", "100000", 0},   {"600000", "-100000", 0},
              {"50000", "100000", 0.5}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    double limit = -1;
    bool found = np_quota_parse_v1(rows[i].quota, rows[i].period, &limit);
    if (found != (rows[i].limit != 0) || (found && limit != rows[i].limit))
      fail_msg("\"%s\" \"%s\": %d, %g", rows[i].quota, rows[i].period, found,
               limit);
  }
}

/* CG-07 */
static void test_rounding(void **state) {
  (void)state;
  const struct {
    double limit;
    uint32_t cpus, wanted;
  } rows[] = {{2.00001, 8, 3}, {2.5, 8, 3}, {2.99999, 8, 3}, {3, 8, 3},
              {0.5, 8, 2},     {1, 8, 2},   {1.5, 8, 2},     {16, 8, 8},
              {1e18, 8, 8},    {0.5, 1, 1}, {3, 2, 2},       {0, 8, 2}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    assert_int_equal(np_quota_round(rows[i].cpus, rows[i].limit),
                     rows[i].wanted);
}

/* --- trees ---------------------------------------------------------------- */

static void write_file(const char *path, const char *text) {
  char full[3 * PATH_MAX];
  snprintf(full, sizeof full, "%s%s", root, path);
  for (char *at = full + 1; (at = strchr(at, '/')) != NULL; at++) {
    *at = '\0';
    mkdir(full, 0700);
    *at = '/';
  }
  FILE *file = fopen(full, "w");
  assert_non_null(file);
  fputs(text, file);
  fclose(file);
}

static int remove_one(const char *path, const struct stat *status, int type,
                      struct FTW *at) {
  (void)status;
  (void)type;
  return at->level == 0 ? 0 : remove(path);
}

static void wipe(void) {
  assert_int_equal(nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static void tree(const char *membership, const char *mounts) {
  wipe();
  write_file("/proc/self/cgroup", membership);
  write_file("/proc/self/mountinfo", mounts);
}

static void expect(double wanted) {
  double limit = -1;
  bool found = np_quota_limit(root, &limit);
  if (found != (wanted != 0) || (found && limit != wanted))
    fail_msg("wanted %g, found %d: %g", wanted, found, limit);
}

#define ELSE                                                \
  "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n" \
  "23 22 0:21 / /proc rw,nosuid shared:12 - proc proc rw\n"
#define V2 "30 22 0:26 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw\n"
#define V1                                                              \
  "31 22 0:27 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"   \
  "32 22 0:28 / /sys/fs/cgroup/acct rw - cgroup cgroup rw,cpuacct\n"    \
  "33 22 0:29 / /sys/fs/cgroup/cpu rw,nosuid shared:9 - cgroup cgroup " \
  "rw,cpu,cpuacct\n"

/* CG-04, CG-05 */
static void test_v2_tree(void **state) {
  (void)state;
  tree("0::/a/b/c\n", ELSE V2);
  expect(0);
  write_file("/sys/fs/cgroup/a/b/c/cpu.max", "250000 100000\n");
  expect(2.5);
  write_file("/sys/fs/cgroup/a/b/c/cpu.max", "max 100000\n");
  expect(0);
  write_file("/sys/fs/cgroup/a/b/c/cpu.max", "what\n");
  expect(0);
}

/* The tightest from the own group up to the mount. */
static void test_v2_ancestors(void **state) {
  (void)state;
  tree("0::/a/b/c\n", ELSE V2);
  write_file("/sys/fs/cgroup/a/b/c/cpu.max", "400000 100000\n");
  write_file("/sys/fs/cgroup/a/cpu.max", "150000 100000\n");
  expect(1.5);
  write_file("/sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
  expect(1.5);
  write_file("/sys/fs/cgroup/cpu.max", "100000 100000\n");
  expect(1);
  write_file("/sys/fs/cgroup/a/b/c/cpu.max", "50000 100000\n");
  expect(0.5);
}

static void test_v1_tree(void **state) {
  (void)state;
  tree("4:cpuset:/wrong\n3:cpuacct:/wrong2\n2:cpu,cpuacct:/a\n", ELSE V1);
  write_file("/sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "600000\n");
  expect(0); /* No period. */
  write_file("/sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000\n");
  expect(6);
  write_file("/sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "-1\n");
  expect(0);
}

/* "cpuacct" alone is not "cpu". */
static void test_cpuacct_is_not_cpu(void **state) {
  (void)state;
  tree("3:cpuacct:/a\n0::/b\n", ELSE V1 V2);
  write_file("/sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "600000\n");
  write_file("/sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000\n");
  write_file("/sys/fs/cgroup/b/cpu.max", "300000 100000\n");
  expect(3);
}

static void test_hybrid_tree(void **state) {
  (void)state;
  tree("2:cpu,cpuacct:/a\n0::/b\n", ELSE V2 V1);
  write_file("/sys/fs/cgroup/b/cpu.max", "300000 100000\n");
  expect(0); /* v1 owns the controller, and has no limit. */
  write_file("/sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "600000\n");
  write_file("/sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000\n");
  expect(6);
}

static void test_no_mount(void **state) {
  (void)state;
  tree("0::/a\n", "");
  expect(0);
  tree("0::/a\n", ELSE);
  expect(0);
  tree("0::/a\n", V1);
  expect(0);
  tree("2:cpu:/a\n", V2);
  expect(0);
  wipe();
  expect(0); /* No files at all. */
}

/* A container sees a part of the tree. */
static void test_mount_of_a_part(void **state) {
  (void)state;
#define PART "30 22 0:26 /docker/one /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
  tree("0::/docker/one/inner\n", ELSE PART);
  write_file("/sys/fs/cgroup/inner/cpu.max", "200000 100000\n");
  expect(2);
  write_file("/sys/fs/cgroup/cpu.max", "100000 100000\n");
  expect(1);
  tree("0::/docker/one\n", ELSE PART);
  write_file("/sys/fs/cgroup/cpu.max", "100000 100000\n");
  expect(1);
  /* Another group with the same beginning. */
  tree("0::/docker/one-more\n", ELSE PART);
  write_file("/sys/fs/cgroup-more/cpu.max", "100000 100000\n");
  expect(0);
}

static void test_escaped_mount_point(void **state) {
  (void)state;
  tree("0::/a\n", "30 22 0:26 / /my\\040cgroups\\134x rw - cgroup2 c rw\n");
  write_file("/my cgroups\\x/a/cpu.max", "300000 100000\n");
  expect(3);
  tree("0::/a\n", "30 22 0:26 / /my\\04 - cgroup2 c rw\n");
  write_file("/my\\04/a/cpu.max", "300000 100000\n");
  expect(3);
  tree("0::/a\n", "30 22 0:26 - cgroup2 c rw\n");
  expect(0);
}

/* CG-06, and the last line without its end. */
static void test_malformed_membership(void **state) {
  (void)state;
  const char *texts[] = {"",  "0",  "0:",    "0::",      "0::a",     "\n\n",
                         ":", "::", "0::\n", "2:cpu:\n", "2:cpu:a\n"};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    tree(texts[i], ELSE V2 V1);
    write_file("/sys/fs/cgroup/cpu.max", "300000 100000\n");
    expect(0);
  }
  tree("nonsense\n0::/a", ELSE V2);
  write_file("/sys/fs/cgroup/a/cpu.max", "300000 100000");
  expect(3);
}

static char *repeat(char *out, const char *head, size_t count,
                    const char *tail) {
  size_t at = (size_t)sprintf(out, "%s", head);
  for (size_t i = 0; i < count; i++) out[at++] = i % 100 == 0 ? '/' : 'x';
  memcpy(out + at, tail, strlen(tail) + 1);
  return out;
}

/* Paths and lines beyond any limit: no crash, and nothing made of a part. */
static void test_beyond_the_limits(void **state) {
  (void)state;
  static char text[200000];
  const size_t lengths[] = {
      100,          PATH_MAX - 2,   PATH_MAX - 1,    PATH_MAX,
      PATH_MAX + 1, PATH_MAX + 250, PATH_MAX + 1000, 100000};
  for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
    tree(repeat(text, "0::", lengths[i], "\n"), ELSE V2);
    write_file("/sys/fs/cgroup/cpu.max", "300000 100000\n");
    /* A long path that is valid: its ancestors count. Else none is known. */
    double limit = 0;
    bool found = np_quota_limit(root, &limit);
    assert_int_equal(found, lengths[i] < PATH_MAX);
    /* The rest of an overlong line is no line of its own. */
    tree(repeat(text, "1:name:", lengths[i], "0::/a\n"), ELSE V2);
    write_file("/sys/fs/cgroup/a/cpu.max", "300000 100000\n");
    expect(0);
    memcpy(text + strlen(text), "0::/a\n", 7);
    tree(text, ELSE V2);
    write_file("/sys/fs/cgroup/a/cpu.max", "300000 100000\n");
    expect(3);
    /* Mount points and the part they show. */
    tree("0::/a\n", repeat(text, "30 22 0:26 / ", lengths[i],
                           " rw - cgroup2 cgroup2 rw\n"));
    expect(0);
    tree("0::/a\n", repeat(text, "30 22 0:26 ", lengths[i],
                           " /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"));
    expect(0);
    /* A file that is too long. */
    tree("0::/a\n", ELSE V2);
    write_file("/sys/fs/cgroup/a/cpu.max", repeat(text, "3", lengths[i], ""));
    expect(0);
  }
}

static void test_root_beyond_the_limit(void **state) {
  (void)state;
  static char path[3 * PATH_MAX];
  double limit;
  assert_false(np_quota_limit(repeat(path, "/tmp", PATH_MAX - 10, ""), &limit));
  assert_false(np_quota_limit(repeat(path, "/tmp", 2 * PATH_MAX, ""), &limit));
}

/* CG-08: never more than the affinity mask. */
static void test_of_this_process(void **state) {
  (void)state;
  uint32_t cpus = np_quota_cpus();
  assert_in_range(cpus, 1, (uint32_t)np_thread_cpus());
}

static int make_root(void **state) {
  (void)state;
  return mkdtemp(root) != NULL ? 0 : -1;
}

static int remove_root(void **state) {
  (void)state;
  wipe();
  return rmdir(root);
}

int main(void) {
  alarm(110);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_v2_texts),
      cmocka_unit_test(test_v1_texts),
      cmocka_unit_test(test_rounding),
      cmocka_unit_test(test_v2_tree),
      cmocka_unit_test(test_v2_ancestors),
      cmocka_unit_test(test_v1_tree),
      cmocka_unit_test(test_cpuacct_is_not_cpu),
      cmocka_unit_test(test_hybrid_tree),
      cmocka_unit_test(test_no_mount),
      cmocka_unit_test(test_mount_of_a_part),
      cmocka_unit_test(test_escaped_mount_point),
      cmocka_unit_test(test_malformed_membership),
      cmocka_unit_test(test_beyond_the_limits),
      cmocka_unit_test(test_root_beyond_the_limit),
      cmocka_unit_test(test_of_this_process),
  };
  return cmocka_run_group_tests(tests, make_root, remove_root);
}

#include "sched/quota.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/thread.h"

/* One non-negative (or, with `negative`, any) integer that is the whole word.
 */
static bool parse_number(const char **text, bool negative, double *out) {
  const char *at = *text;
  char *end;
  errno = 0;
  long long number = strtoll(at, &end, 10);
  if (end == at || errno != 0 || (!negative && number < 0)) return false;
  *text = end;
  *out = (double)number;
  return true;
}

static bool at_end(const char *text) {
  while (*text == ' ' || *text == '\n') text++;
  return *text == '\0';
}

bool np_quota_parse_v2(const char *text, double *limit) {
  double quota, period = 100000;
  if (strncmp(text, "max", 3) == 0) return false;
  if (!parse_number(&text, false, &quota)) return false;
  if (!at_end(text) && !parse_number(&text, false, &period)) return false;
  if (!at_end(text) || period <= 0) return false;
  *limit = quota / period;
  return true;
}

bool np_quota_parse_v1(const char *quota, const char *period, double *limit) {
  double share, span;
  if (!parse_number(&quota, true, &share) || !at_end(quota) || share < 0)
    return false;
  if (!parse_number(&period, false, &span) || !at_end(period) || span <= 0)
    return false;
  *limit = share / span;
  return true;
}

static bool read_text(const char *root, const char *path, const char *name,
                      char *out, size_t room) {
  char full[PATH_MAX];
  int length = snprintf(full, sizeof full, "%s%s/%s", root, path, name);
  if (length < 0 || (size_t)length >= sizeof full) return false;
  FILE *file = fopen(full, "re");
  if (file == NULL) return false;
  size_t got = fread(out, 1, room - 1, file);
  fclose(file);
  out[got] = '\0';
  return true;
}

typedef struct membership {
  char v1[PATH_MAX], v2[PATH_MAX];
} membership;

static bool names_cpu(const char *list) {
  while (*list != '\0' && *list != ':') {
    size_t length = strcspn(list, ",:");
    if (length == 3 && strncmp(list, "cpu", 3) == 0) return true;
    list += length;
    if (*list == ',') list++;
  }
  return false;
}

/* The next line without its end; lines that do not fit are passed over. */
static bool next_line(FILE *file, char *line, int room) {
  while (fgets(line, room, file) != NULL) {
    size_t length = strcspn(line, "\n");
    if (line[length] == '\n' || feof(file)) {
      line[length] = '\0';
      return true;
    }
    int skipped;
    do {
      skipped = getc(file);
    } while (skipped != EOF && skipped != '\n');
  }
  return false;
}

/* Lines of /proc/self/cgroup: ID:CONTROLLERS:PATH. */
static void read_membership(const char *root, membership *out) {
  char line[PATH_MAX + 256], path[PATH_MAX];
  out->v1[0] = out->v2[0] = '\0';
  if (snprintf(path, sizeof path, "%s/proc/self/cgroup", root) >= PATH_MAX)
    return;
  FILE *file = fopen(path, "re");
  if (file == NULL) return;
  while (next_line(file, line, sizeof line)) {
    char *controllers = strchr(line, ':');
    char *group = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
    if (group == NULL || group[1] != '/' || strlen(group) > PATH_MAX) continue;
    if (controllers[1] == ':')
      memcpy(out->v2, group + 1, strlen(group));
    else if (names_cpu(controllers + 1))
      memcpy(out->v1, group + 1, strlen(group));
  }
  fclose(file);
}

/* Field `number` (from 0) of a line of the mount table, where blanks and such
 * stand as \040. False if it is too long. */
static bool read_field(const char *line, int number, char *out) {
  while (number-- > 0) {
    line += strcspn(line, " ");
    line += strspn(line, " ");
  }
  size_t length = 0;
  while (*line != '\0' && *line != ' ') {
    if (length == PATH_MAX - 1) return false;
    if (*line == '\\' && strspn(line + 1, "01234567") >= 3) {
      out[length++] =
          (char)((line[1] - '0') * 64 + (line[2] - '0') * 8 + (line[3] - '0'));
      line += 4;
    } else {
      out[length++] = *line++;
    }
  }
  out[length] = '\0';
  return length != 0;
}

/* Whether what follows the " - " is the v1 cpu controller or v2. */
static bool is_mount_of(const char *tail, bool v2) {
  char type[32] = "", options[256] = "";
  if (sscanf(tail, " - %31s %*s %255s", type, options) < 1) return false;
  if (v2) return strcmp(type, "cgroup2") == 0;
  return strcmp(type, "cgroup") == 0 && names_cpu(options);
}

/* The mount point of the v1 cpu controller or of v2, and what part of the
 * hierarchy it shows. */
static bool find_mount(const char *root, bool v2, char *mount, char *shown) {
  char line[2 * PATH_MAX + 256], path[PATH_MAX];
  if (snprintf(path, sizeof path, "%s/proc/self/mountinfo", root) >= PATH_MAX)
    return false;
  FILE *file = fopen(path, "re");
  if (file == NULL) return false;
  bool found = false;
  while (!found && next_line(file, line, sizeof line)) {
    const char *tail = strstr(line, " - ");
    found = tail != NULL && is_mount_of(tail, v2) &&
            read_field(line, 3, shown) && read_field(line, 4, mount);
  }
  fclose(file);
  return found;
}

static bool limit_of(const char *root, const char *group, bool v2,
                     double *limit) {
  char text[256], period[256];
  if (v2)
    return read_text(root, group, "cpu.max", text, sizeof text) &&
           np_quota_parse_v2(text, limit);
  return read_text(root, group, "cpu.cfs_quota_us", text, sizeof text) &&
         read_text(root, group, "cpu.cfs_period_us", period, sizeof period) &&
         np_quota_parse_v1(text, period, limit);
}

/* From the group up to the mount: the tightest limit counts. */
static bool tightest(const char *root, const char *mount, char *group, bool v2,
                     double *limit) {
  bool found = false;
  for (;;) {
    char path[2 * PATH_MAX];
    double here;
    snprintf(path, sizeof path, "%s%s", mount, group);
    if (limit_of(root, path, v2, &here) && (!found || here < *limit)) {
      *limit = here;
      found = true;
    }
    char *slash = strrchr(group, '/');
    if (slash == NULL || group[0] == '\0') return found;
    *slash = '\0';
  }
}

bool np_quota_limit(const char *root, double *limit) {
  membership groups;
  char mount[PATH_MAX], shown[PATH_MAX];
  if (root == NULL) root = "";
  read_membership(root, &groups);
  bool v2 = groups.v1[0] == '\0'; /* v1 wins when it owns the controller. */
  char *group = v2 ? groups.v2 : groups.v1;
  if (group[0] == '\0' || !find_mount(root, v2, mount, shown)) return false;
  /* A container sees its own part of the tree only. */
  size_t length = strlen(shown);
  if (length > 1 && strncmp(group, shown, length) == 0 &&
      (group[length] == '/' || group[length] == '\0'))
    memmove(group, group + length, strlen(group + length) + 1);
  return tightest(root, mount, group, v2, limit);
}

uint32_t np_quota_round(uint32_t cpus, double limit) {
  double wanted = ceil(limit);
  if (wanted < 2) wanted = 2;
  return wanted < cpus ? (uint32_t)wanted : cpus;
}

uint32_t np_quota_cpus(void) {
  double limit;
  uint32_t cpus = (uint32_t)np_thread_cpus();
  return np_quota_limit(NULL, &limit) ? np_quota_round(cpus, limit) : cpus;
}

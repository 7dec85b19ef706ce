#include "io/glob.h"

#include <string.h>
#include "base/alloc.h"
#include "io/walk.h"

struct np_glob {
  uint32_t count;
  uint64_t anywhere; /* bit i: component i is `**` */
  const char *components[NP_GLOB_COMPONENTS];
  char *base; /* both lie behind the struct */
  char *text;
};

bool np_glob_is_pattern(const char *path) {
  return strpbrk(path, "*?[\\") != NULL;
}

/* Whether c is in the set that begins behind the `[` at *at, which is moved
 * behind its `]`. Without a `]`, *at stays and `[` stands for itself. */
static bool match_set(const char **at, unsigned char c) {
  const char *p = *at + 1;
  bool inverted = *p == '!' || *p == '^', found = false;
  if (inverted) p++;
  for (const char *first = p; *p != ']' || p == first; p++) {
    if (*p == '\\' && p[1] != 0) p++;
    if (*p == 0) return c == '[' ? (++*at, true) : false;
    unsigned char low = (unsigned char)*p, high = low;
    if (p[1] == '-' && p[2] != ']' && p[2] != 0) {
      p += 2;
      if (*p == '\\' && p[1] != 0) p++;
      high = (unsigned char)*p;
    }
    found |= low <= c && c <= high;
  }
  *at = p + 1;
  return found != inverted;
}

/* One character of the name against one of the pattern, which is passed. */
static bool match_one(const char **pattern, char c) {
  switch (**pattern) {
    case 0:
      return false;
    case '?':
      ++*pattern;
      return true;
    case '[':
      return match_set(pattern, (unsigned char)c);
    case '\\':
      if ((*pattern)[1] != 0) ++*pattern;
      break;
  }
  return *(*pattern)++ == c;
}

bool np_walk_match(const char *pattern, const char *name) {
  const char *star = NULL, *retry = NULL;
  if (*name == '.' && *pattern != '.' && strncmp(pattern, "\\.", 2) != 0)
    return false;
  while (*name != 0) {
    if (*pattern == '*') {
      star = ++pattern;
      retry = name;
    } else if (match_one(&pattern, *name)) {
      name++;
    } else {
      /* Only the last star can be wrong: it takes one more character. */
      if (star == NULL) return false;
      pattern = star;
      name = ++retry;
    }
  }
  while (*pattern == '*') pattern++;
  return *pattern == 0;
}

/* Where the first component with a special character begins. */
static size_t base_length(const char *pattern) {
  size_t base = 0;
  for (size_t i = 0; pattern[i] != 0; i++) {
    if (strchr("*?[\\", pattern[i]) != NULL) break;
    if (pattern[i] == '/') base = i + 1;
  }
  return base;
}

static np_status split(np_glob *glob) {
  char *rest = NULL;
  for (char *part = strtok_r(glob->text, "/", &rest); part != NULL;
       part = strtok_r(NULL, "/", &rest)) {
    if (glob->count == NP_GLOB_COMPONENTS) return NP_RANGE;
    if (strcmp(part, "**") == 0) glob->anywhere |= UINT64_C(1) << glob->count;
    glob->components[glob->count++] = part;
  }
  return NP_OK;
}

np_status np_glob_open(np_glob **out, const char *pattern) {
  size_t length = strlen(pattern), base = base_length(pattern);
  *out = NULL;
  np_glob *glob = np_alloc_zero(sizeof *glob + length + 2);
  if (glob == NULL) return NP_NOMEM;
  glob->base = (char *)(glob + 1);
  memcpy(glob->base, pattern, base);
  while (base > 1 && glob->base[base - 1] == '/') glob->base[--base] = 0;
  glob->text = glob->base + base + 1;
  size_t skip = base_length(pattern);
  memcpy(glob->text, pattern + skip, length - skip);
  np_status status = split(glob);
  if (status == NP_OK)
    *out = glob;
  else
    np_free(glob);
  return status;
}

void np_glob_free(np_glob *glob) { np_free(glob); }

const char *np_glob_base(const np_glob *glob) { return glob->base; }

/* A `**` also matches no directory at all. */
static uint64_t skip_anywhere(const np_glob *glob, uint64_t state) {
  for (uint32_t i = 0; i < glob->count; i++)
    if (state >> i & glob->anywhere >> i & 1) state |= UINT64_C(1) << (i + 1);
  return state;
}

uint64_t np_glob_start(const np_glob *glob) { return skip_anywhere(glob, 1); }

uint64_t np_glob_step(const np_glob *glob, uint64_t state, const char *name) {
  uint64_t next = 0;
  for (uint32_t i = 0; i < glob->count; i++) {
    if ((state >> i & 1) == 0) continue;
    if (glob->anywhere >> i & 1) {
      if (*name != '.') next |= UINT64_C(1) << i;
    } else if (np_walk_match(glob->components[i], name)) {
      next |= UINT64_C(1) << (i + 1);
    }
  }
  return skip_anywhere(glob, next);
}

bool np_glob_is_match(const np_glob *glob, uint64_t state) {
  return state >> glob->count & 1;
}

bool np_glob_goes_on(const np_glob *glob, uint64_t state) {
  return (state & ((UINT64_C(1) << glob->count) - 1)) != 0;
}

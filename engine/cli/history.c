#include "cli/history.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wchar.h>

#include "base/alloc.h"

struct np_history {
  HistoryW *entries;
  wchar_t **fresh; /* of this session, oldest first */
  size_t fresh_count, fresh_capacity;
};

static HistoryW *open_entries(void) {
  HistoryW *entries = history_winit();
  if (entries == NULL) return NULL;
  HistEventW event;
  history_w(entries, &event, H_SETSIZE, NP_HISTORY_MAX);
  history_w(entries, &event, H_SETUNIQUE, 1);
  return entries;
}

np_history *np_history_open(void) {
  np_history *history = np_alloc_zero(sizeof *history);
  if (history == NULL) return NULL;
  history->entries = open_entries();
  if (history->entries != NULL) return history;
  np_free(history);
  return NULL;
}

void np_history_close(np_history *history) {
  if (history == NULL) return;
  history_wend(history->entries);
  for (size_t i = 0; i < history->fresh_count; i++) np_free(history->fresh[i]);
  np_free(history->fresh);
  np_free(history);
}

HistoryW *np_history_of(np_history *history) { return history->entries; }

static wchar_t *widen(const char *text) {
  size_t count = mbstowcs(NULL, text, 0);
  if (count == (size_t)-1) return NULL;
  wchar_t *wide = np_alloc((count + 1) * sizeof *wide);
  if (wide != NULL) mbstowcs(wide, text, count + 1);
  return wide;
}

void np_history_add(np_history *history, const char *entry) {
  wchar_t *wide = widen(entry);
  if (wide == NULL) return; /* A lost entry of the history is no error. */
  HistEventW event;
  history_w(history->entries, &event, H_ENTER, wide);
  if (history->fresh_count == history->fresh_capacity) {
    size_t capacity =
        history->fresh_capacity != 0 ? history->fresh_capacity * 2 : 64;
    wchar_t **more = np_realloc(history->fresh, capacity * sizeof(wchar_t *));
    if (more == NULL) {
      np_free(wide);
      return;
    }
    history->fresh = more;
    history->fresh_capacity = capacity;
  }
  history->fresh[history->fresh_count++] = wide;
}

void np_history_load(np_history *history, const char *path) {
  HistEventW event;
  history_w(history->entries, &event, H_LOAD, path);
}

/* With the lock held: what is there by now, then ours, beside it, and swap. */
static void merge(np_history *history, const char *path, const char *beside) {
  HistoryW *all = open_entries();
  if (all == NULL) return;
  HistEventW event;
  history_w(all, &event, H_LOAD, path);
  for (size_t i = 0; i < history->fresh_count; i++)
    history_w(all, &event, H_ENTER, history->fresh[i]);
  if (history_w(all, &event, H_SAVE, beside) >= 0 &&
      chmod(beside, S_IRUSR | S_IWUSR) == 0)
    rename(beside, path);
  else
    unlink(beside);
  history_wend(all);
}

/* The folder of `path`, and those above it, for the owner only. */
static void make_folders(char *path) {
  for (char *at = path + 1; *at != '\0'; at++) {
    if (*at != '/') continue;
    *at = '\0';
    mkdir(path, S_IRWXU);
    *at = '/';
  }
}

void np_history_save(np_history *history, const char *path) {
  char copy[4096], lock[4096], beside[4096];
  if (history->fresh_count == 0) return;
  int size = snprintf(copy, sizeof copy, "%s", path);
  if (size < 0 || (size_t)size + 16 > sizeof copy) return;
  make_folders(copy);
  snprintf(lock, sizeof lock, "%s.lock", path);
  snprintf(beside, sizeof beside, "%s.%d", path, (int)getpid());
  int fd = open(lock, O_CREAT | O_RDWR | O_CLOEXEC, S_IRUSR | S_IWUSR);
  if (fd < 0) return;
  mode_t before = umask(S_IRWXG | S_IRWXO);
  if (flock(fd, LOCK_EX) == 0) merge(history, path, beside);
  umask(before);
  close(fd);
}

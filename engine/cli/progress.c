#include "cli/progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/lock.h"

#define LINE_MAX_BYTES 1024

/* The executable's own; there is one terminal. */
static np_lock lock;
volatile int32_t npl_progress_shown;

static void put(const char *bytes, size_t length) {
  ssize_t written = write(STDERR_FILENO, bytes, length);
  (void)written;
}

bool npl_progress_draw(const char *text, size_t length) {
  char line[LINE_MAX_BYTES + 16];
  if (isatty(STDERR_FILENO) != 1) return false;
  if (length > LINE_MAX_BYTES) length = LINE_MAX_BYTES;
  line[0] = '\r';
  memcpy(line + 1, text, length);
  memcpy(line + 1 + length, "\033[K", 3);
  /* The program's own output goes first, to be whole above the line. */
  fflush(stdout);
  np_lock_take(&lock);
  put(line, length + 4);
  npl_progress_shown = 1;
  np_lock_leave(&lock);
  return true;
}

void npl_progress_erase(void) {
  np_lock_take(&lock);
  if (npl_progress_shown != 0) {
    put("\r\033[K", 4);
    npl_progress_shown = 0;
  }
  np_lock_leave(&lock);
}

int32_t npl_progress_columns(void) {
  struct winsize size;
  if (isatty(STDERR_FILENO) != 1) return 0;
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col != 0)
    return size.ws_col;
  return 80;
}

#include "cli/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <histedit.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/event.h"
#include "cli/history.h"

#define HELD_MAX 65536      /* of a line that has no end yet */
#define PARTIAL_WAIT_MS 100 /* until such a line is shown all the same */

struct np_terminal {
  EditLine *edit;
  np_history *history;
  FILE *in, *out;     /* the terminal itself, whatever 0 and 1 lead to */
  int tty, tty_error; /* copies of 1 and 2; -1: 2 is no terminal */
  int pipe_read, pipe_write;
  np_event stop;
  _Atomic bool stopped;
  bool reading, dropped;
  char prompt[32];
  char *held; /* output that waits for its end of line */
  size_t held_size;
};

/* --- output above the line
 * ------------------------------------------------------ */

static int columns(const np_terminal *terminal) {
  struct winsize size;
  if (ioctl(terminal->tty, TIOCGWINSZ, &size) == 0 && size.ws_col != 0)
    return size.ws_col;
  return 80;
}

/* How many rows the cursor stands below the row where the prompt begins. */
static int cursor_row(const np_terminal *terminal) {
  const LineInfoW *info = el_wline(terminal->edit);
  int width = columns(terminal), row = 0, at = (int)strlen(terminal->prompt);
  for (const wchar_t *c = info->buffer; c < info->cursor; c++) {
    int cells = *c == L'\n' ? 0 : wcwidth(*c);
    if (cells < 0) cells = 2; /* Control characters are shown as ^X. */
    if (*c == L'\n' || at + cells > width) {
      row++;
      at = 0;
    }
    at += cells;
  }
  return row + (at >= width ? 1 : 0);
}

static void write_all(int fd, const char *bytes, size_t size) {
  while (size != 0) {
    ssize_t done = write(fd, bytes, size);
    if (done < 0 && errno != EINTR) return;
    if (done > 0) {
      bytes += done;
      size -= (size_t)done;
    }
  }
}

/* The line with its prompt is taken away, the text written, the line drawn
 * again below it. */
static void print_above(np_terminal *terminal, const char *text, size_t size) {
  if (size == 0) return;
  if (!terminal->reading) {
    write_all(terminal->tty, text, size);
    return;
  }
  char up[32];
  int row = cursor_row(terminal);
  fflush(terminal->out);
  int length = row != 0 ? snprintf(up, sizeof up, "\r\033[%dA\033[J", row)
                        : snprintf(up, sizeof up, "\r\033[J");
  write_all(terminal->tty, up, (size_t)length);
  /* In the raw mode of editing a newline alone does not return. */
  const char *end = text + size;
  while (text < end) {
    const char *newline = memchr(text, '\n', (size_t)(end - text));
    const char *stop = newline != NULL ? newline : end;
    write_all(terminal->tty, text, (size_t)(stop - text));
    write_all(terminal->tty, "\r\n", 2);
    text = stop + (newline != NULL ? 1 : 0);
  }
  el_wset(terminal->edit, EL_REFRESH);
}

/* Prints what is held up to its last end of line; `all`: the rest as well. */
static void release_held(np_terminal *terminal, bool all) {
  size_t size = terminal->held_size;
  if (!all)
    while (size != 0 && terminal->held[size - 1] != '\n') size--;
  print_above(terminal, terminal->held, size);
  terminal->held_size -= size;
  memmove(terminal->held, terminal->held + size, terminal->held_size);
}

/* True when there was something. */
static bool take_output(np_terminal *terminal) {
  size_t room = HELD_MAX - terminal->held_size;
  ssize_t got =
      read(terminal->pipe_read, terminal->held + terminal->held_size, room);
  if (got <= 0) return false;
  terminal->held_size += (size_t)got;
  release_held(terminal, terminal->held_size == HELD_MAX);
  return true;
}

static void streams_to_pipe(np_terminal *terminal) {
  dup2(terminal->pipe_write, STDOUT_FILENO);
  if (terminal->tty_error >= 0) dup2(terminal->pipe_write, STDERR_FILENO);
}

static void streams_to_terminal(np_terminal *terminal) {
  dup2(terminal->tty, STDOUT_FILENO);
  if (terminal->tty_error >= 0) dup2(terminal->tty_error, STDERR_FILENO);
  while (take_output(terminal)) continue;
  release_held(terminal, true);
}

/* --- input
 * ------------------------------------------------------------------------ */

/* Sleeps until a byte can be read; prints above meanwhile. */
static bool wait_for_key(np_terminal *terminal) {
  struct pollfd fds[3] = {{.fd = STDIN_FILENO, .events = POLLIN},
                          {.fd = terminal->pipe_read, .events = POLLIN},
                          {.fd = terminal->stop.fd, .events = POLLIN}};
  while (!terminal->stopped) {
    int timeout = terminal->held_size != 0 ? PARTIAL_WAIT_MS : -1;
    int ready = poll(fds, 3, timeout);
    if (ready == 0) release_held(terminal, true);
    if (ready <= 0) continue;
    if (fds[1].revents != 0) take_output(terminal);
    if (fds[0].revents != 0) return true;
  }
  return false;
}

/* A character of any number of bytes; libedit's own reader would not look at
 * the pipe. 1, or 0 at the end. */
static int get_character(EditLine *edit, wchar_t *out) {
  np_terminal *terminal;
  el_wget(edit, EL_CLIENTDATA, &terminal);
  fflush(terminal->out);
  mbstate_t state = {0};
  for (;;) {
    char byte;
    if (!wait_for_key(terminal)) return 0;
    ssize_t got = read(STDIN_FILENO, &byte, 1);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got <= 0) return 0;
    size_t length = mbrtowc(out, &byte, 1, &state);
    if (length == (size_t)-2) continue; /* More of it is to come. */
    if (length == (size_t)-1) {
      memset(&state, 0, sizeof state); /* No such character: leave it out. */
      continue;
    }
    return 1;
  }
}

static unsigned char drop_line(EditLine *edit, wint_t key) {
  (void)key;
  np_terminal *terminal;
  el_wget(edit, EL_CLIENTDATA, &terminal);
  terminal->dropped = true;
  fputs("^C\r\n", terminal->out);
  return CC_EOF;
}

static wchar_t *get_prompt(EditLine *edit) {
  static wchar_t prompt[32]; /* libedit wants it to stay. */
  np_terminal *terminal;
  el_wget(edit, EL_CLIENTDATA, &terminal);
  swprintf(prompt, sizeof prompt / sizeof *prompt, L"%s", terminal->prompt);
  return prompt;
}

np_line_end np_terminal_read(np_terminal *terminal, const char *prompt,
                             const wchar_t **line) {
  int count = 0;
  *line = NULL;
  if (terminal->stopped) return NP_LINE_END;
  snprintf(terminal->prompt, sizeof terminal->prompt, "%s", prompt);
  terminal->dropped = false;
  el_resize(terminal->edit);
  /* libedit shows the prompt first, and a Ctrl-D typed at once would be lost.
   */
  el_wset(terminal->edit, EL_PREP_TERM, 1);
  streams_to_pipe(terminal);
  terminal->reading = true;
  *line = el_wgets(terminal->edit, &count);
  terminal->reading = false;
  fflush(terminal->out);
  streams_to_terminal(terminal);
  if (terminal->dropped) return NP_LINE_DROPPED;
  return *line != NULL && count > 0 ? NP_LINE_ENTERED : NP_LINE_END;
}

void np_terminal_stop(np_terminal *terminal) {
  terminal->stopped = true;
  np_event_signal(&terminal->stop);
}

/* --- history
 * ---------------------------------------------------------------------- */

void np_terminal_remember(np_terminal *terminal, const char *entry) {
  np_history_add(terminal->history, entry);
}
void np_terminal_load(np_terminal *terminal, const char *path) {
  np_history_load(terminal->history, path);
}
void np_terminal_save(np_terminal *terminal, const char *path) {
  np_history_save(terminal->history, path);
}

/* --- opening
 * ---------------------------------------------------------------------- */

static bool is_usable(void) {
  const char *term = getenv("TERM");
  return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && term != NULL &&
         term[0] != '\0' && strcmp(term, "dumb") != 0;
}

static void choose_locale(void) {
  if (setlocale(LC_CTYPE, "") == NULL ||
      strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
    setlocale(LC_CTYPE, "C.UTF-8"); /* Where there is none, bytes will do. */
}

static int copy_of(int fd) { return fcntl(fd, F_DUPFD_CLOEXEC, 3); }

static bool open_streams(np_terminal *terminal) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return false;
  terminal->pipe_read = ends[0];
  terminal->pipe_write = ends[1];
  fcntl(ends[0], F_SETFL, O_NONBLOCK);
  terminal->tty = copy_of(STDOUT_FILENO);
  if (isatty(STDERR_FILENO)) terminal->tty_error = copy_of(STDERR_FILENO);
  int in = copy_of(STDIN_FILENO), out = copy_of(STDOUT_FILENO);
  if (in >= 0) terminal->in = fdopen(in, "r");
  if (out >= 0) terminal->out = fdopen(out, "w");
  return terminal->tty >= 0 && terminal->in != NULL && terminal->out != NULL &&
         np_event_open(&terminal->stop) == NP_OK;
}

static bool open_editor(np_terminal *terminal) {
  EditLine *edit = el_init("neap", terminal->in, terminal->out, terminal->out);
  terminal->edit = edit;
  terminal->history = np_history_open();
  if (edit == NULL || terminal->history == NULL) return false;
  el_wset(edit, EL_CLIENTDATA, terminal);
  el_wset(edit, EL_PROMPT, get_prompt);
  el_wset(edit, EL_EDITOR, L"emacs");
  el_wset(edit, EL_SIGNAL, 0);
  el_wset(edit, EL_HIST, history_w, np_history_of(terminal->history));
  el_wset(edit, EL_GETCFN, get_character);
  /* Ctrl-C is a key while a line is edited, and a signal while one runs. */
  el_wset(edit, EL_SETTY, L"-d", L"-isig", NULL);
  el_wset(edit, EL_ADDFN, L"neap-drop", L"drop the entry", drop_line);
  el_wset(edit, EL_BIND, L"^C", L"neap-drop", NULL);
  el_wset(edit, EL_BIND, L"^I", L"ed-insert", NULL);
  el_wset(edit, EL_BIND, L"^R", L"em-inc-search-prev", NULL);
  el_wset(edit, EL_BIND, L"^W", L"ed-delete-prev-word", NULL);
  el_wset(edit, EL_BIND, L"\\e[1;5D", L"ed-prev-word", NULL);
  el_wset(edit, EL_BIND, L"\\e[1;5C", L"em-next-word", NULL);
  el_wset(edit, EL_BIND, L"\\e[3~", L"ed-delete-next-char", NULL);
  return true;
}

np_status np_terminal_open(np_terminal **out) {
  *out = NULL;
  if (!is_usable()) return NP_IO;
  np_terminal *terminal = np_alloc_zero(sizeof *terminal);
  if (terminal == NULL) return NP_NOMEM;
  terminal->tty = terminal->tty_error = terminal->stop.fd = -1;
  terminal->pipe_read = terminal->pipe_write = -1;
  terminal->held = np_alloc(HELD_MAX);
  choose_locale();
  if (terminal->held == NULL || !open_streams(terminal) ||
      !open_editor(terminal)) {
    np_terminal_close(terminal);
    return NP_NOMEM;
  }
  *out = terminal;
  return NP_OK;
}

static void close_fd(int fd) {
  if (fd >= 0) close(fd);
}

void np_terminal_close(np_terminal *terminal) {
  if (terminal == NULL) return;
  if (terminal->edit != NULL) el_end(terminal->edit);
  np_history_close(terminal->history);
  if (terminal->in != NULL) fclose(terminal->in);
  if (terminal->out != NULL) fclose(terminal->out);
  close_fd(terminal->tty);
  close_fd(terminal->tty_error);
  close_fd(terminal->pipe_read);
  close_fd(terminal->pipe_write);
  np_event_close(&terminal->stop);
  np_free(terminal->held);
  np_free(terminal);
}

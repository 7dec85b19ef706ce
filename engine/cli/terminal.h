/* terminal.h - the terminal of the prompt: reads lines with libedit and keeps
 * what others print out of their way. Its calls belong to one thread, the
 * terminal thread: editing blocks, and tasks must not.
 *
 * While a line is edited, the standard streams of the process lead to a pipe;
 * what comes out of it is printed above the line, whole lines at a time, and
 * the line is drawn again. While none is, they are the terminal's own, so that
 * programs that a line starts find what they expect. */
#ifndef NP_CLI_TERMINAL_H
#define NP_CLI_TERMINAL_H
#include <stdbool.h>
#include <wchar.h>

#include "base/status.h"

typedef struct np_terminal np_terminal;

typedef enum np_line_end {
  NP_LINE_ENTERED, /* the text is in *line */
  NP_LINE_DROPPED, /* Ctrl-C */
  NP_LINE_END      /* Ctrl-D, or the terminal went away */
} np_line_end;

/* NP_IO when standard input or output is no terminal, or a dumb one. */
np_status np_terminal_open(np_terminal **out);
void np_terminal_close(np_terminal *terminal); /* NULL is fine. */

/* Shows `prompt` and edits a line; *line is valid until the next call. */
np_line_end np_terminal_read(np_terminal *terminal, const char *prompt,
                             const wchar_t **line);

/* Any thread, once: the read that runs, or the next one, ends (NP_LINE_END). */
void np_terminal_stop(np_terminal *terminal);

/* The history; not while a line is read. Entries keep their newlines. */
void np_terminal_remember(np_terminal *terminal, const char *entry);
/* Reads a history file in; later, adds this session's entries to what is there
 * by then. The file is for its owner's eyes only. */
void np_terminal_load(np_terminal *terminal, const char *path);
void np_terminal_save(np_terminal *terminal, const char *path);

#endif

/* progress.h - the progress line of the command, as Lua has it (declared by
 * hand in lua/neap/cli/progress.lua: the library does not have them). One line
 * on standard error, drawn by worker 0; whoever writes to the terminal takes
 * it away first, on any thread, and it comes back with the next drawing. */
#ifndef NP_CLI_PROGRESS_H
#define NP_CLI_PROGRESS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#pragma GCC visibility push(default)
extern volatile int32_t npl_progress_shown; /* a hint; erase looks for itself */
/* False when standard error is no terminal (now). */
bool npl_progress_draw(const char *text, size_t length);
void npl_progress_erase(void);
int32_t npl_progress_columns(void); /* of the terminal; 0: there is none */
#pragma GCC visibility pop

#endif

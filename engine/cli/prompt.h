/* prompt.h - the prompt as Lua has it (lua/neap/cli/terminal.lua, which
 * declares these by hand: the library does not have them). A terminal thread
 * edits; worker 0 asks it for a line, and the answer comes through a channel,
 * so that tasks run meanwhile and a wait for it can be canceled like any
 * other. One prompt a process. Worker 0's thread. */
#ifndef NP_CLI_PROMPT_H
#define NP_CLI_PROMPT_H
#include <stdbool.h>
#include <stdint.h>

#include "csp/waiter.h"
#include "sched/task.h"

#pragma GCC visibility push(default)
/* NP_OK, and the channel of answers in front.received; NP_IO: no terminal. */
int32_t npl_prompt_open(np_front *w, const char *history);
/* Asks for a line. The answer is the line as a string; true for one that was
 * dropped; false at the end. One question at a time. */
void npl_prompt_ask(const char *question);
void npl_prompt_remember(const char *entry);
/* Ctrl-C is for this task from now on (NULL: for nobody). The first asks it to
 * end; a second raises `interrupted` in Lua code that does not listen. */
void npl_prompt_aim(np_outcome *outcome);
uint32_t npl_prompt_presses(void); /* of Ctrl-C since the last aim */
/* Saves the history and gives the terminal back. */
void npl_prompt_close(void);
#pragma GCC visibility pop

#endif

/* signals.h - what SIGINT and SIGTERM mean to the command: the first cancels
 * the root context, so that every task unwinds; the second ends the process.
 * At the prompt SIGINT is for the line that runs instead: the first cancels its
 * task, the next ones interrupt Lua code that does not listen.
 * The executable only; the library installs no handler. */
#ifndef NP_CLI_SIGNALS_H
#define NP_CLI_SIGNALS_H
#include "sched/engine.h"

/* Once a process, before any worker starts. */
np_status np_signals_open(np_engine *engine);
/* Which signal asked the command to end; 0: none. */
int np_signals_received(void);
/* From now on SIGINT is for lines of the prompt, which `worker` runs. */
void np_signals_prompt(np_worker *worker);
/* For this one from now on; NULL: for nobody. The worker's thread. */
void np_signals_aim(np_outcome *outcome);
uint32_t np_signals_presses(void); /* SIGINTs since then */
/* Dies of `signal` itself, as a shell expects. */
void np_signals_die(int signal);

#endif

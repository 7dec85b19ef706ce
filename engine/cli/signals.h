/* signals.h - what SIGINT and SIGTERM mean to the command: the first cancels
 * the root context, so that every task unwinds; the second ends the process.
 * The executable only; the library installs no handler. */
#ifndef NP_CLI_SIGNALS_H
#define NP_CLI_SIGNALS_H
#include "sched/engine.h"

/* Once a process, before any worker starts. */
np_status np_signals_open(np_engine *engine);
/* Which signal asked the command to end; 0: none. */
int np_signals_received(void);
/* Dies of `signal` itself, as a shell expects. */
void np_signals_die(int signal);

#endif

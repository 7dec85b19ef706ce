/* main.h - the `neap` command's own state: worker 0 of an engine that is ours.
 * The command line is Lua's to read (neap.cli); here is what surrounds it. */
#ifndef NP_SCRIPT_MAIN_H
#define NP_SCRIPT_MAIN_H
#include "script/state.h"

/* Runs the command to its end on this thread and returns its exit status. The
 * worker's state is open. */
int np_script_main(np_worker *worker, int argc, char **argv);

/* Raises "interrupted" in the user's Lua code that runs on `worker`, at its
 * next instruction; for a signal handler on that worker's own thread. */
void np_script_interrupt(np_worker *worker);
void np_script_calm(np_worker *worker); /* Takes that back, if it can be. */

#endif

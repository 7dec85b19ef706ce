/* doze.h - how a host leaves its worker between two turns: worker 0 lies down
 * with its eyes open, the host's own loop sleeps on one descriptor, and that is
 * readable as soon as there is something to do: a task was woken (by another
 * thread or by the host itself), a timer is due, a worker printed.
 * A dozing worker is not asleep for the deadlock's sake: its host may do
 * anything next. The thread that calls worker 0. */
#ifndef NP_SCHED_DOZE_H
#define NP_SCHED_DOZE_H
#include "sched/engine.h"

/* The descriptor; made at the first call. -1 when the system gives none. */
int np_doze_fd(np_worker *worker);
/* Begins or renews the doze. True: there is something to do at once (and the
 * descriptor, if there is one, is readable). */
bool np_doze(np_worker *worker);
/* Ends it: before the worker's loop runs again. */
void np_doze_end(np_worker *worker);

#endif

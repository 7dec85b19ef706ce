/* scope.h - what a task belongs to. A scope is a context that counts the tasks
 * at work under it and keeps the first error of one; it ends when they have.
 * Its owner, the task that opened it, waits for that deaf to cancellation: the
 * end of an outer context reaches the inner tasks by the tree, and they must
 * have unwound before the owner goes on.
 * Guarded by the context's lock: working, daemons, the daemon list, joiner,
 * error. */
#ifndef NP_SCHED_SCOPE_H
#define NP_SCHED_SCOPE_H
#include "sched/task.h"

/* Opens a scope under `parent` and makes the current task run in it.
 * NULL when there is no memory. The caller owns a reference. */
np_context *np_scope_enter(np_waker *me, np_context *scope);
/* The current task goes back to `outer`; the scope must be empty. */
void np_scope_leave(np_waker *me, np_context *scope, np_context *outer);

/* Counts `task` in and makes it a member. Any thread that holds the scope. */
void np_scope_admit(np_context *scope, np_task *task);
/* The task has ended; wakes the owner if it was the last. */
void np_scope_dismiss(np_waker *me, np_task *task);
/* Keeps the first error (taken over) and cancels the scope. True if it was. */
bool np_scope_fail(np_waker *me, np_context *scope, np_value error);
/* The same for an error that stays by reference (a slot): `cause` (taken over)
 * is what the canceled tasks see of it. */
bool np_scope_fail_with(np_waker *me, np_context *scope, np_value error,
                        np_value cause);

/* NP_OK when all tasks have ended (daemons are canceled when they are the last
 * and waited for too). NP_PARKED or NP_PUMP: yield, then call again. A cancel
 * of this task alone ends the scope and waits on. */
int32_t np_scope_wait(np_waker *me, np_context *scope);

#endif

/* status.h - what a call inside the engine can answer.
 * Success is zero; everything else is negative, so that calls which return a
 * count or a slot can share one integer with the statuses. Lua sees the same
 * numbers (bind/npl_core.h keeps them equal by static assertion). */
#ifndef NP_BASE_STATUS_H
#define NP_BASE_STATUS_H

/* cdef:begin */
typedef enum np_status {
  NP_OK = 0,
  NP_CLOSED = -1,    /* the channel is closed (and, for a receive, drained) */
  NP_PARKED = -2,    /* the task is enlisted; yield now */
  NP_PUMP = -3,      /* as NP_PARKED, but outside any task: pump until woken */
  NP_TIMEOUT = -4,   /* the time given has passed */
  NP_CANCELED = -5,  /* the current context has ended */
  NP_TRAVELS = -6,   /* the value must travel: call the form with a message */
  NP_MESSAGE = -7,   /* the value is in worker->received */
  NP_NOMEM = -8,     /* an allocation failed */
  NP_AGAIN = -9,     /* nothing is ready and waiting was not asked for */
  NP_YIELD = -10,    /* the budget is used up: yield, then call again */
  NP_STATE = -11,    /* misuse in time: this task waits already */
  NP_DEADLOCK = -12, /* nothing that could wake the task is left */
  NP_LIMIT = -13,    /* a bound was reached; nothing was done */
  NP_RANGE = -14,    /* an argument is out of range */
  NP_DONE = -15,     /* the consumer wants no more */
  NP_IO = -16,       /* the system refused; errno says why */
  NP_IDLE = -17,     /* the scheduler has nothing to run */
  NP_FORKED = -18,   /* the engine belongs to the parent process */
  NP_OUTPUT = -19    /* workers have printed something */
} np_status;
/* cdef:end */

#endif

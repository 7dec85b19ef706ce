/* task.h - what a worker runs: a step function over a waiter. A Lua task's
 * step resumes its coroutine (script), a native one is a state machine (graph).
 * A task belongs to one worker from its first step and to one scope for its
 * life. Its record lives in the worker's slab and is used again after its end;
 * (slot, generation) names one life. What others hold is its outcome, a counted
 * object that outlives it.
 * Lock order: outcome and scope (a context) in address order, as for all
 * objects; then timers. */
#ifndef NP_SCHED_TASK_H
#define NP_SCHED_TASK_H
#include "csp/context.h"

typedef struct np_task np_task;
typedef struct np_worker np_worker;
typedef struct np_outcome np_outcome;

/* cdef:begin */
typedef enum np_task_state {
  NP_TASK_LIVE = 0,
  NP_TASK_SUCCEEDED = 1,
  NP_TASK_FAILED = 2,
  NP_TASK_CANCELED = 3
} np_task_state;

typedef enum np_task_option {
  NP_TASK_DAEMON = 1,   /* canceled when the scope's other tasks have ended */
  NP_TASK_ISOLATED = 2, /* its error waits for join */
  NP_TASK_SPAWNED = 4,  /* values travel to it and from it */
  NP_TASK_BEGUN = 8,    /* internal: a worker has it */
  NP_TASK_HOLDS = 16    /* internal: it has a reference to its scope */
} np_task_option;
/* cdef:end */

struct np_task {
  np_waiter waiter; /* first: a ready waiter is its task */
  void (*step)(np_worker *worker, np_task *task);
  void *state;         /* the step's: a lua_State in our own states */
  np_outcome *outcome; /* NULL until somebody asks */
  np_context *scope;   /* counted in scope->working */
  np_link in_daemons;  /* guarded by the scope's lock */
  uint32_t slot, generation;
  uint32_t options;
  bool pooled; /* from its worker's pool, not from the allocator */
  uint64_t id;
  uint64_t parent_id;
  np_value payload; /* of a spawned task: function and arguments */
};

/* How a task ended, for joiners on any worker. */
struct np_outcome {
  np_object object; /* waits: joins and selects; guards the rest */
  int32_t state;    /* np_task_state */
  bool shared;      /* known beyond the task's worker: results travel */
  bool joined;      /* somebody took the error of an isolated task */
  np_task *task;    /* NULL once it has ended */
  np_value result;  /* encoded results, or the error */
  np_value cause;   /* of a cancel */
  uint64_t id;
};

/* The task's outcome, made when first asked for; owner only. The caller gets a
 * reference; NULL when there is no memory. */
np_outcome *np_task_outcome(np_task *task);

/* Any thread. NP_OK, or NP_DONE when it had ended. `cause` is taken over. */
np_status np_outcome_cancel(np_waker *me, np_outcome *outcome, np_value cause);
/* The current task is out of reach for np_outcome_cancel, or in it again;
 * returns how it was before. Under the outcome's lock: a cancel that is on its
 * way comes before the shield, and then cannot wake what the task does in it.
 */
bool np_task_shield(np_waker *me, bool on);
/* Parks until the task has ended: NP_OK if it has, else as np_wait_one. */
int32_t np_outcome_wait(np_waker *me, np_outcome *outcome);
int32_t np_outcome_state(np_outcome *outcome);

extern const np_object_kind np_outcome_kind;

#endif

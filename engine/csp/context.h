/* context.h - a tree of cancellation, deadline, cause and values.
 * A context ends once: by cancel, by its deadline, or with its parent; its
 * whole subtree ends before the call that ended it returns. A child that has
 * ended leaves its parent's list at once, so a long-lived parent stays small.
 * Tasks are members of the context they run under: registered once a scope,
 * not once an operation. Others may select on it.
 *
 * Any thread may call all of it. Lock order: a parent before its child, and no
 * lock is held while a task is woken. A context keeps its parent alive; a
 * parent does not keep its children (a dying child takes itself out). */
#ifndef NP_CSP_CONTEXT_H
#define NP_CSP_CONTEXT_H
#include "base/pool.h"
#include "csp/waiter.h"

struct np_context {
  np_object object; /* waits: selects on the context; guards all lists */
  np_pool *pool;    /* of the whole tree; the root has it */
  np_context *parent;
  np_link in_parent; /* guarded by the parent's lock */
  np_list children;
  np_list members;        /* np_waiter.member */
  _Atomic int32_t state;  /* NP_OK, NP_CANCELED or NP_TIMEOUT (deadline) */
  bool detached;          /* without_cancel: only values pass */
  uint32_t child_count;   /* members excluded; for tests and statistics */
  np_value cause;         /* written once, before state */
  np_value timeout_cause; /* the cause if the deadline ends it */
  int64_t deadline;       /* NP_NEVER: none; the nearest of its ancestors */
  np_timer timer;
  np_value key, value;     /* of with_value */
  np_context *next_ending; /* scratch of a cancel */
  /* For the room above, where a context is a scope; see sched/scope.h. */
  uint32_t working, daemons;
  np_waiter *joiner;
  bool joiner_knows; /* it has canceled the daemons and waits for them */
  np_list daemon_list;
  np_value error;
  np_waker *home;
};

/* Acquire: whoever sees the end sees the cause. */
static inline int32_t np_context_state(const np_context *context) {
  return atomic_load_explicit(&context->state, memory_order_acquire);
}

/* A root when `parent` is NULL, never done. NULL when there is no memory. The
 * caller owns a reference. A child of an ended parent is born ended. */
np_context *np_context_open(np_waker *me, np_context *parent);
/* As open; ends at `deadline` on the clock of `me`'s timers, if that is before
 * the parent's. `cause` (taken over, also on failure) is then its cause. */
np_context *np_context_open_until(np_waker *me, np_context *parent,
                                  int64_t deadline, np_value cause);
/* As open; `key` and `value` are taken over, also on failure. */
np_context *np_context_open_value(np_waker *me, np_context *parent,
                                  np_value key, np_value value);
/* Sees the parent's values, not its end nor its deadline. */
np_context *np_context_open_detached(np_waker *me, np_context *parent);

/* Ends it and all below with `state`; `cause` is taken over. True if this call
 * did it; a later one changes nothing. */
bool np_context_end(np_waker *me, np_context *context, int32_t state,
                    np_value cause);

/* Makes `waiter` a member (leaving the one it was of); its context may have
 * ended: then the waiter's worker is told to look up. */
void np_context_join(np_context *context, np_waiter *waiter);
void np_context_quit(np_waiter *waiter);

/* The nearest binding of a scalar or string key; NULL when there is none. */
const np_value *np_context_lookup(const np_context *context,
                                  const np_value *key);
bool np_value_equal(const np_value *a, const np_value *b);

#endif

#include "sched/scope.h"

#include "base/assert.h"

np_context *np_scope_enter(np_waker *me, np_context *scope) {
  scope->home = me;
  np_context_join(scope, me->current);
  return scope;
}

void np_scope_leave(np_waker *me, np_context *scope, np_context *outer) {
  np_assert(scope->working == 0 && scope->daemons == 0);
  if (scope->error.tag == NP_SLOT) { /* Nobody came for it. */
    np_slot_give(me, scope->error.as.slot);
    scope->error.tag = NP_NOTHING;
  }
  if (outer != NULL)
    np_context_join(outer, me->current);
  else
    np_context_quit(me->current);
}

/* An engine with one thread needs no lock to count its tasks. */
static inline void scope_lock(np_context *scope, bool alone) {
  if (!alone) np_lock_take(&scope->object.lock);
}
static inline void scope_unlock(np_context *scope, bool alone) {
  if (!alone) np_lock_leave(&scope->object.lock);
}

/* A task takes no reference where its scope is at home: the owner keeps it
 * until all its tasks have ended. One elsewhere does, as the owner's worker may
 * have to stop before it. */
void np_scope_admit(np_context *scope, np_task *task) {
  np_waker *waker = task->waiter.waker;
  bool alone = waker->alone;
  task->scope = scope;
  if (scope->home != waker || (task->options & NP_TASK_SPAWNED)) {
    task->options |= NP_TASK_HOLDS;
    np_object_retain(&scope->object);
  }
  scope_lock(scope, alone);
  if (task->options & NP_TASK_DAEMON) {
    scope->daemons++;
    scope->joiner_knows = false; /* There is one more to cancel. */
    np_list_push(&scope->daemon_list, &task->in_daemons);
  } else {
    scope->working++;
  }
  np_list_push(&scope->members, &task->waiter.member);
  task->waiter.context = scope;
  scope_unlock(scope, alone);
}

/* Under the lock: the owner, claimed, if it waits for what is now true. */
static np_waiter *claim_joiner(np_context *scope) {
  np_waiter *joiner = scope->joiner;
  if (joiner == NULL || scope->working != 0) return NULL;
  if (scope->daemons != 0 && scope->joiner_knows) return NULL;
  if (!np_waiter_claim(joiner)) return NULL;
  scope->joiner = NULL;
  joiner->code = NP_OK;
  return joiner;
}

void np_scope_dismiss(np_waker *me, np_task *task) {
  np_context *scope = task->scope;
  np_context *current = task->waiter.context;
  /* An error may have left it inside a scope of its own. */
  if (current != scope) np_context_quit(&task->waiter);
  bool alone = me->alone;
  scope_lock(scope, alone);
  if (current == scope) {
    np_list_remove(&task->waiter.member);
    task->waiter.context = NULL;
  }
  if (task->options & NP_TASK_DAEMON) {
    scope->daemons--;
    np_list_remove(&task->in_daemons);
  } else {
    scope->working--;
  }
  np_waiter *joiner = claim_joiner(scope);
  scope_unlock(scope, alone); /* From here on its owner may free it. */
  task->scope = NULL;
  if (joiner != NULL) np_wake(me, joiner);
  if (task->options & NP_TASK_HOLDS) np_object_release(&scope->object);
}

bool np_scope_fail(np_waker *me, np_context *scope, np_value error) {
  np_value cause = error.tag == NP_SLOT ? (np_value){.tag = NP_NOTHING}
                                        : np_value_copy(&error);
  return np_scope_fail_with(me, scope, error, cause);
}

bool np_scope_fail_with(np_waker *me, np_context *scope, np_value error,
                        np_value cause) {
  np_lock_take(&scope->object.lock);
  bool first = scope->error.tag == NP_NOTHING;
  if (first) scope->error = error;
  np_lock_leave(&scope->object.lock);
  if (!first && error.tag != NP_SLOT) np_value_drop(&error);
  np_context_end(me, scope, NP_CANCELED, cause);
  return first;
}

/* The daemons are what is left: each is canceled alone. */
static np_status cancel_daemons(np_waker *me, np_context *scope) {
  for (;;) {
    np_outcome *outcome = NULL;
    np_lock_take(&scope->object.lock);
    np_link *end = &scope->daemon_list.head;
    for (np_link *link = end->next; link != end; link = link->next) {
      np_task *task = np_container_of(link, np_task, in_daemons);
      if (atomic_load_explicit(&task->waiter.canceled, memory_order_relaxed))
        continue;
      outcome = task->outcome; /* Made when a daemon starts. */
      np_object_retain(&outcome->object);
      break;
    }
    np_lock_leave(&scope->object.lock);
    if (outcome == NULL) return NP_OK;
    np_outcome_cancel(me, outcome, (np_value){.tag = NP_NOTHING});
    np_object_release(&outcome->object);
  }
}

/* True when the owner alone was canceled and the scope does not know yet. */
static bool owes_cancel(const np_waiter *owner, const np_context *scope) {
  return !owner->shielded && np_context_state(scope) == NP_OK &&
         atomic_load_explicit(&owner->canceled, memory_order_seq_cst);
}

/* Under the lock, which it leaves. NP_OK when there is nothing to wait for. */
static int32_t park_joiner(np_waker *me, np_context *scope, bool knows) {
  np_waiter *owner = me->current;
  scope->joiner = NULL;
  owner->deaf = false;
  if (scope->working == 0 && scope->daemons == 0) {
    np_lock_leave(&scope->object.lock);
    np_waker_call(me); /* It was deaf: the next check looks up. */
    return NP_OK;
  }
  scope->joiner = owner;
  scope->joiner_knows = knows;
  owner->deaf = true;
  owner->waits = NULL;
  owner->wait_count = 0;
  np_waiter_park(me, owner);
  np_lock_leave(&scope->object.lock);
  return owner->pumps ? NP_PUMP : NP_PARKED;
}

int32_t np_scope_wait(np_waker *me, np_context *scope) {
  np_waiter *owner = me->current;
  if (np_waiter_is_stale(owner)) return np_waiter_withdraw(me);
  for (;;) {
    if (owes_cancel(owner, scope))
      np_context_end(me, scope, NP_CANCELED, (np_value){.tag = NP_NOTHING});
    np_lock_take(&scope->object.lock);
    bool only_daemons = scope->working == 0 && scope->daemons != 0;
    np_lock_leave(&scope->object.lock);
    if (only_daemons) cancel_daemons(me, scope);

    np_lock_take(&scope->object.lock);
    int32_t status = park_joiner(me, scope, only_daemons);
    /* A cancel may have come between the look above and the park. */
    if (status == NP_OK || !owes_cancel(owner, scope) ||
        !np_waiter_take_back(owner))
      return status;
  }
}

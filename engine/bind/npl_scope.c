#include "bind/npl_core.h"

#include "base/alloc.h"

np_context *npl_current(np_front *w) {
  np_context *context = npl_me(w)->current->context;
  if (context != NULL) np_object_retain(&context->object);
  return context;
}

np_context *npl_root(np_front *w) {
  np_context *root = npl_worker(w)->engine->root;
  np_object_retain(&root->object);
  return root;
}

np_context *npl_scope_open(np_front *w, np_context *parent) {
  np_waker *me = npl_me(w);
  return np_context_open(me, parent != NULL ? parent : me->current->context);
}

void npl_scope_enter(np_front *w, np_context *scope) {
  np_scope_enter(npl_me(w), scope);
}

void npl_scope_leave(np_front *w, np_context *scope, np_context *outer) {
  np_scope_leave(npl_me(w), scope, outer);
}

int32_t npl_scope_wait(np_front *w, np_context *scope) {
  return np_scope_wait(npl_me(w), scope);
}

bool npl_scope_fail(np_front *w, np_context *scope) {
  return np_scope_fail(npl_me(w), scope, npl_take_staged(w));
}

bool npl_scope_fail_slot(np_front *w, np_context *scope, uint32_t slot) {
  return np_scope_fail_with(npl_me(w), scope, np_value_slot(slot),
                            npl_take_staged(w));
}

/* Keeps the first error that reached the root, which goes on living, and
 * wakes the host so that its pump raises it. */
void npl_root_fail(np_front *w) {
  np_engine *engine = npl_worker(w)->engine;
  np_value error = npl_take_staged(w);
  np_lock_take(&engine->root->object.lock);
  bool first = engine->root->error.tag == NP_NOTHING;
  if (first) engine->root->error = error;
  np_lock_leave(&engine->root->object.lock);
  if (!first) np_value_drop(&error);
  np_worker_nudge(engine->workers[0]);
}

/* A slot (>= 0), NP_MESSAGE, or NP_AGAIN when no task has failed. */
int32_t npl_scope_error(np_front *w, np_context *scope) {
  np_lock_take(&scope->object.lock);
  np_value error = scope->error;
  scope->error.tag = NP_NOTHING;
  np_lock_leave(&scope->object.lock);
  if (error.tag == NP_NOTHING) return NP_AGAIN;
  if (error.tag == NP_SLOT) {
    np_slot_give(npl_me(w), error.as.slot);
    return (int32_t)error.as.slot;
  }
  w->received = error;
  return NP_MESSAGE;
}

bool npl_scope_is_home(np_front *w, np_context *scope) {
  return scope->home == npl_me(w);
}

/* Borrowed: valid while the task lives. */
np_context *npl_task_scope(np_front *w, uint32_t slot) {
  return npl_worker(w)->tasks[slot]->scope;
}

np_context *npl_context_until(np_front *w, np_context *parent, double at) {
  np_waker *me = npl_me(w);
  int64_t deadline = at >= 9.2e9 ? NP_NEVER : (int64_t)(at * 1e9);
  if (deadline != NP_NEVER && (double)deadline < at * 1e9) deadline++;
  return np_context_open_until(me, parent, deadline, npl_take_staged(w));
}

void npl_context_key(np_front *w) {
  np_worker *worker = npl_worker(w);
  np_value_drop(&worker->staged_key);
  worker->staged_key = npl_take_staged(w);
}

np_context *npl_context_value(np_front *w, np_context *parent) {
  np_worker *worker = npl_worker(w);
  np_value key = worker->staged_key;
  worker->staged_key.tag = NP_NOTHING;
  return np_context_open_value(npl_me(w), parent, key, npl_take_staged(w));
}

np_context *npl_context_detached(np_front *w, np_context *parent) {
  return np_context_open_detached(npl_me(w), parent);
}

bool npl_context_cancel(np_front *w, np_context *context) {
  return np_context_end(npl_me(w), context, NP_CANCELED, npl_take_staged(w));
}

int32_t npl_context_state(np_context *context) {
  return np_context_state(context);
}

/* front.received is filled in any case: a scalar that came before stays there
 * after Lua has read it. */
static int32_t give(np_front *w, const np_value *value) {
  w->received = np_value_copy(value);
  return value->tag == NP_NOTHING ? NP_AGAIN : NP_MESSAGE;
}

int32_t npl_context_cause(np_front *w, np_context *context) {
  static const np_value nothing = {.tag = NP_NOTHING};
  if (np_context_state(context) == NP_OK) return give(w, &nothing);
  return give(w, &context->cause); /* Written before the state, never again. */
}

/* Why the current task must unwind: NP_CANCELED or NP_TIMEOUT (a deadline);
 * front.received has the cause, or NP_NOTHING. */
int32_t npl_cause(np_front *w) {
  np_waiter *current = npl_me(w)->current;
  np_value nothing = {.tag = NP_NOTHING};
  w->received = nothing;
  if (!current->pumps && !current->shielded && npl_canceled(w)) {
    np_outcome *outcome = ((np_task *)(void *)current)->outcome;
    np_lock_take(&outcome->object.lock);
    w->received = np_value_copy(&outcome->cause);
    np_lock_leave(&outcome->object.lock);
    return NP_CANCELED;
  }
  np_context *context = current->context;
  int32_t state = np_context_state(context);
  if (state != NP_OK) w->received = np_value_copy(&context->cause);
  return state;
}

double npl_context_deadline(np_context *context) {
  return context->deadline == NP_NEVER ? -1 : (double)context->deadline / 1e9;
}

int32_t npl_context_lookup(np_front *w, np_context *context) {
  np_value key = npl_take_staged(w);
  static const np_value nothing = {.tag = NP_NOTHING};
  const np_value *found = np_context_lookup(context, &key);
  np_value_drop(&key);
  return give(w, found != NULL ? found : &nothing);
}

uint32_t npl_context_children(np_context *context) {
  np_lock_take(&context->object.lock);
  uint32_t count = context->child_count;
  np_lock_leave(&context->object.lock);
  return count;
}

#include "base/alloc.h"
#include "bind/npl_core.h"

static np_task *by_slot(np_front *w, uint32_t slot) {
  return npl_worker(w)->tasks[slot];
}

/* A daemon's children in the daemon's own scope are daemons too: that scope
 * would wait for them for ever. */
static uint32_t inherited(np_worker *worker) {
  np_waiter *current = worker->waker.current;
  if (current->pumps) return 0;
  const np_task *parent = (np_task *)(void *)current;
  return parent->scope == current->context ? parent->options & NP_TASK_DAEMON
                                           : 0;
}

int32_t npl_go(np_front *w, uint32_t options) {
  np_worker *worker = npl_worker(w);
  np_context *scope = worker->waker.current->context;
  np_task *task = np_task_new(worker, scope, options | inherited(worker));
  if (task == NULL) return NP_NOMEM;
  np_ready_push(&worker->waker, &task->waiter);
  w->generation = task->generation;
  w->id = (double)task->id;
  return (int32_t)task->slot;
}

/* Joiners hear of the end before the scope does: one that is parked in join
 * gets the error itself, not the cancellation that follows from it. */
void npl_end_outcome(np_front *w, uint32_t slot, int32_t state,
                     bool with_result) {
  np_value result = {.tag = NP_NOTHING};
  if (with_result) result = npl_take_staged(w);
  np_task_end_outcome(npl_worker(w), by_slot(w, slot), state, result);
}

void npl_end(np_front *w, uint32_t slot, int32_t state) {
  np_task_end(npl_worker(w), by_slot(w, slot), state,
              (np_value){.tag = NP_NOTHING});
}

/* The end of a task that succeeded; NP_STATE, and it goes on, when it waits for
 * something it never yielded for. */
int32_t npl_finish(np_front *w, uint32_t slot) {
  np_task *task = by_slot(w, slot);
  if (np_waiter_is_stale(&task->waiter)) return np_waiter_withdraw(npl_me(w));
  np_task_end(npl_worker(w), task, NP_TASK_SUCCEEDED,
              (np_value){.tag = NP_NOTHING});
  return NP_OK;
}

/* A slot of the value table for Lua's own use; NP_NO_SLOT without memory. */
uint32_t npl_slot(np_front *w) { return np_slot_take(npl_me(w)); }
void npl_give_slot(np_front *w, uint32_t slot) {
  np_slot_give(npl_me(w), slot);
}

/* A failed task goes on in a new coroutine, to run what it deferred. */
int32_t npl_again(np_front *w, uint32_t slot) {
  np_waker *me = npl_me(w);
  np_task *task = by_slot(w, slot);
  task->waiter.code = NP_OK;
  task->waiter.winner = -1;
  if (task->waiter.bubble != NULL) task->waiter.bubble->active--;
  np_ready_push(me, &task->waiter);
  return NP_OK;
}

bool npl_is_live(np_front *w, uint32_t slot, uint32_t generation) {
  return np_task_find(npl_worker(w), slot, generation) != NULL;
}

double npl_task_id(np_front *w, uint32_t slot) {
  return (double)by_slot(w, slot)->id;
}

double npl_task_parent(np_front *w, uint32_t slot) {
  return (double)by_slot(w, slot)->parent_id;
}

uint32_t npl_task_options(np_front *w, uint32_t slot) {
  return by_slot(w, slot)->options;
}

uint32_t npl_task_high(np_front *w) { return npl_worker(w)->task_high; }

/* -1: the slot is free; 0 ready or running; else how many objects it waits for
 * (1 for a sleep). */
int32_t npl_task_waits(np_front *w, uint32_t slot) {
  np_task *task = by_slot(w, slot);
  if (task->scope == NULL) return -1;
  if (atomic_load(&task->waiter.state) != NP_WAITS) return 0;
  return task->waiter.wait_count != 0 ? (int32_t)task->waiter.wait_count : 1;
}

const char *npl_task_waits_on(np_front *w, uint32_t slot) {
  np_waiter *waiter = &by_slot(w, slot)->waiter;
  if (atomic_load(&waiter->state) != NP_WAITS) return "";
  if (waiter->deaf) return "its scope's tasks";
  if (waiter->wait_count > 1) return "select";
  if (waiter->wait_count == 0)
    return np_timer_is_armed(&waiter->timer) ? "sleep" : "for ever";
  const np_wait *wait = waiter->waits;
  if (wait->object == NULL) return "select";
  if (wait->object->kind == &np_channel_kind)
    return wait->sends ? "send" : "recv";
  return wait->object->kind->name;
}

np_outcome *npl_outcome(np_front *w, uint32_t slot, uint32_t generation) {
  np_task *task = np_task_find(npl_worker(w), slot, generation);
  return task != NULL ? np_task_outcome(task) : NULL;
}

np_outcome *npl_outcome_self(np_front *w) {
  np_waiter *current = npl_me(w)->current;
  return current->pumps ? NULL : np_task_outcome((np_task *)(void *)current);
}

np_outcome *npl_spawn(np_front *w, uint32_t options, uint32_t worker) {
  np_worker *from = npl_worker(w);
  np_context *scope = from->waker.current->context;
  np_task *task = np_task_spawn_new(from, scope, options | inherited(from));
  if (task == NULL) return NULL;
  task->payload = npl_take_staged(w);
  np_outcome *outcome = task->outcome;
  np_object_retain(&outcome->object);
  np_status status = np_engine_spawn(from, task, worker);
  if (status == NP_OK) return outcome;
  np_task_end(from, task, NP_TASK_CANCELED, (np_value){.tag = NP_NOTHING});
  np_object_release(&outcome->object);
  w->code = status;
  return NULL;
}

/* Moves function and arguments of a spawned task to front.received. */
int32_t npl_payload(np_front *w, uint32_t slot) {
  np_task *task = by_slot(w, slot);
  if (task->payload.tag == NP_NOTHING) return NP_AGAIN;
  w->received = task->payload;
  task->payload.tag = NP_NOTHING;
  return NP_MESSAGE;
}

int32_t npl_outcome_wait(np_front *w, np_outcome *outcome) {
  return np_outcome_wait(npl_me(w), outcome);
}

int32_t npl_outcome_state(np_outcome *outcome) {
  return np_outcome_state(outcome);
}

double npl_outcome_id(np_outcome *outcome) { return (double)outcome->id; }

int32_t npl_outcome_result(np_front *w, np_outcome *outcome) {
  np_lock_take(&outcome->object.lock);
  int32_t state = outcome->state;
  outcome->joined = true;
  w->received = np_value_copy(&outcome->result);
  np_lock_leave(&outcome->object.lock);
  return state;
}

int32_t npl_outcome_cancel(np_front *w, np_outcome *outcome) {
  return np_outcome_cancel(npl_me(w), outcome, npl_take_staged(w));
}

bool npl_outcome_shared(np_outcome *outcome) { return outcome->shared; }

/* The owner's thread, before the handle is published. */
void npl_outcome_share(np_outcome *outcome) { outcome->shared = true; }

int32_t npl_join_slot(np_front *w, uint32_t slot, uint32_t generation) {
  np_task *task = np_task_find(npl_worker(w), slot, generation);
  if (task == NULL) return NP_OK;
  np_outcome *outcome = np_task_outcome(task);
  if (outcome == NULL) return NP_NOMEM;
  int32_t status = np_outcome_wait(npl_me(w), outcome);
  /* The task's own reference keeps it while it lives, the wait after that. */
  np_object_release(&outcome->object);
  return status;
}

int32_t npl_yield(np_front *w) {
  int32_t status = npl_check(w);
  if (status != NP_OK) return status;
  np_waiter_step_aside(npl_me(w));
  return npl_me(w)->current->pumps ? NP_PUMP : NP_YIELD;
}

int32_t npl_sleep(np_front *w, double seconds) {
  np_waker *me = npl_me(w);
  int32_t status = np_waker_check(me);
  if (status != NP_OK) return status;
  if (np_waiter_is_stale(me->current)) return np_waiter_withdraw(me);
  if (!(seconds > 0)) return npl_yield(w);
  return np_waiter_limit(me, np_wait_bare(me), seconds);
}

int32_t npl_limit(np_front *w, int32_t status, double seconds) {
  return np_waiter_limit(npl_me(w), status, seconds);
}

int32_t npl_check(np_front *w) {
  np_waker *me = npl_me(w);
  int32_t status = np_waker_check(me);
  if (status == NP_OK && np_waiter_is_stale(me->current))
    return np_waiter_withdraw(me);
  return status;
}

bool npl_shield(np_front *w, bool on) { return np_task_shield(npl_me(w), on); }

/* Whether the current task's next blocking call would raise. */
bool npl_must_end(np_front *w) {
  const np_waiter *current = npl_me(w)->current;
  return (!current->shielded && npl_canceled(w)) ||
         (current->context != NULL &&
          np_context_state(current->context) != NP_OK);
}

bool npl_canceled(np_front *w) {
  return atomic_load_explicit(&npl_me(w)->current->canceled,
                              memory_order_acquire);
}

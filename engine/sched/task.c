#include "sched/task.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/barrier.h"

static void outcome_free(np_object *object) {
  np_outcome *outcome = np_container_of(object, np_outcome, object);
  if (np_object_orphan(object)) return;
  np_value_drop(&outcome->result);
  np_value_drop(&outcome->cause);
  np_free(outcome);
}

static int32_t outcome_ready(np_object *object) {
  np_outcome *outcome = np_container_of(object, np_outcome, object);
  return outcome->state != NP_TASK_LIVE ? NP_OK : NP_AGAIN;
}

const np_object_kind np_outcome_kind = {"task", 3, outcome_free, outcome_ready};

np_outcome *np_task_outcome(np_task *task) {
  if (task->outcome == NULL) {
    np_outcome *outcome = np_alloc_zero(sizeof *outcome);
    if (outcome == NULL) return NULL;
    np_object_init(&outcome->object, &np_outcome_kind);
    outcome->task = task;
    outcome->id = task->id;
    task->outcome = outcome; /* The task's own reference, until it ends. */
  }
  np_object_retain(&task->outcome->object);
  return task->outcome;
}

np_status np_outcome_cancel(np_waker *me, np_outcome *outcome, np_value cause) {
  np_waiter *claimed = NULL;
  np_lock_take(&outcome->object.lock);
  np_task *task = outcome->task;
  if (task == NULL || atomic_exchange_explicit(&task->waiter.canceled, true,
                                               memory_order_seq_cst)) {
    np_lock_leave(&outcome->object.lock);
    np_value_drop(&cause);
    return task == NULL ? NP_DONE : NP_OK;
  }
  outcome->cause = cause;
  np_waiter *waiter = &task->waiter;
  /* A scope's wait hears this too: it ends its scope and waits on. */
  if (!waiter->shielded) {
    bool won = np_waiter_claim(waiter);
    if (!won && waiter->waker != me) { /* It may have parked just now. */
      np_barrier_all();
      won = np_waiter_claim(waiter);
    }
    if (won) {
      waiter->code = NP_CANCELED;
      claimed = waiter;
    }
  }
  if (claimed == NULL) np_waker_call(waiter->waker);
  np_lock_leave(&outcome->object.lock);
  if (claimed != NULL) np_wake(me, claimed);
  return NP_OK;
}

bool np_task_shield(np_waker *me, bool on) {
  np_waiter *waiter = me->current;
  np_outcome *outcome =
      waiter->pumps ? NULL : ((np_task *)(void *)waiter)->outcome;
  bool before = waiter->shielded;
  if (outcome != NULL) np_lock_take(&outcome->object.lock);
  waiter->shielded = on;
  if (outcome != NULL) np_lock_leave(&outcome->object.lock);
  if (!on) np_waker_call(me); /* What came meanwhile is heard next. */
  return before;
}

int32_t np_outcome_wait(np_waker *me, np_outcome *outcome) {
  int32_t status = np_waker_check(me);
  if (status != NP_OK) return status;
  if (np_waiter_is_stale(me->current)) return np_waiter_withdraw(me);
  np_lock_take(&outcome->object.lock);
  if (outcome->state != NP_TASK_LIVE) {
    np_lock_leave(&outcome->object.lock);
    return NP_OK;
  }
  return np_wait_one(me, &outcome->object, &outcome->object.waits, false,
                     (np_value){0}, true);
}

int32_t np_outcome_state(np_outcome *outcome) {
  np_lock_take(&outcome->object.lock);
  int32_t state = outcome->state;
  np_lock_leave(&outcome->object.lock);
  return state;
}

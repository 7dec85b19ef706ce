/* stop.c - how an engine ends, or begins anew. */
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "sched/doze.h"
#include "sched/engine.h"
#include "sched/names.h"
#include "sched/output.h"

static const np_value nothing = {.tag = NP_NOTHING};

/* Spawned, and nobody will begin them now. */
static void drop_pool(np_engine *engine) {
  np_lock_take(&engine->pool_lock);
  np_task *task = engine->pool_first;
  engine->pool_first = engine->pool_last = NULL;
  atomic_store(&engine->pool_count, 0);
  np_lock_leave(&engine->pool_lock);
  while (task != NULL) {
    np_task *next = (np_task *)(void *)task->waiter.next;
    np_task_end(engine->workers[0], task, NP_TASK_CANCELED, nothing);
    task = next;
  }
}

void np_engine_halt(np_engine *engine, int64_t grace) {
  np_waker *me = &engine->workers[0]->waker;
  np_doze_end(engine->workers[0]);
  np_context_end(me, engine->root, NP_CANCELED, nothing);
  drop_pool(engine);
  int64_t now = np_clock_now();
  int64_t stop_by = grace > NP_NEVER - now ? NP_NEVER : now + grace;
  for (uint32_t i = 1; i <= engine->thread_count; i++) {
    np_worker *worker = engine->workers[i];
    if (worker == NULL) continue; /* Joined by a stop that left others. */
    worker->stop_by = stop_by;
    atomic_store(&worker->stopping, true);
    np_worker_nudge(worker);
  }
}

bool np_engine_has_halted(np_engine *engine) {
  for (uint32_t i = 1; i <= engine->thread_count; i++)
    if (engine->workers[i] != NULL && !atomic_load(&engine->workers[i]->ended))
      return false;
  return true;
}

/* --- what is left of a worker's tasks ---------------------------------------
 */

static void finish(np_worker *worker, np_waiter *waiter) {
  np_waker *me = &worker->waker;
  np_task *task = (np_task *)(void *)waiter;
  if (!waiter->pumps && !(task->options & NP_TASK_BEGUN)) {
    np_task_end(worker, task, NP_TASK_CANCELED, nothing);
    return;
  }
  np_waiter_resumed(me, waiter);
  if (waiter->code == NP_MESSAGE) np_value_drop(&me->front.received);
  if (!waiter->pumps && task->scope == NULL)
    task->step(worker, task); /* An errand, not a task of ours. */
  else if (!waiter->pumps)
    np_task_end(worker, task, NP_TASK_CANCELED, nothing);
}

static void finish_ready(np_worker *worker) {
  np_waiter *waiter;
  np_mailbox_drain(&worker->waker);
  while ((waiter = np_ready_pop(&worker->waker)) != NULL)
    finish(worker, waiter);
}

/* Those whose claim somebody else has won are on their way to the mailbox. */
static bool finish_parked(np_worker *worker) {
  bool left = false;
  for (uint32_t i = 0; i < worker->task_high; i++) {
    np_task *task = worker->tasks[i];
    if (task->scope == NULL) continue;
    worker->waker.current = &task->waiter;
    if (!np_waiter_take_back(&task->waiter)) {
      left = true;
      continue;
    }
    np_waiter_leave(&worker->waker, &task->waiter);
    np_task_end(worker, task, NP_TASK_CANCELED, nothing);
  }
  return left;
}

void np_worker_drop_tasks(np_worker *worker) {
  bool left;
  do {
    finish_ready(worker);
    left = finish_parked(worker);
    if (left) np_cpu_pause();
  } while (left);
  finish_ready(worker);
  worker->waker.current = &worker->outside.waiter;
  worker->waker.timers = &worker->waker.own_timers;
}

/* --- stopping
 * ----------------------------------------------------------------- */

/* True when the thread is gone. */
static bool join(np_worker *worker, int64_t until) {
  if (atomic_load(&worker->ended) || until == NP_NEVER)
    return pthread_join(worker->thread, NULL) == 0;
  int64_t left = until - np_clock_now();
  struct timespec at; /* The call knows the time of day only. */
  clock_gettime(CLOCK_REALTIME, &at);
  if (left > 0) {
    at.tv_sec += (time_t)(left / NP_SECOND);
    at.tv_nsec += (long)(left % NP_SECOND);
    if (at.tv_nsec >= NP_SECOND) {
      at.tv_sec++;
      at.tv_nsec -= (long)NP_SECOND;
    }
  }
  if (pthread_timedjoin_np(worker->thread, NULL, &at) == 0) return true;
  pthread_detach(worker->thread);
  return false;
}

/* All threads are gone before any worker is: one that still unwinds may post to
 * the others. If one does not come, all stay where they are, for it to find. */
static np_status join_all(np_engine *engine, int64_t until) {
  bool haunted = false;
  for (uint32_t i = 1; i <= engine->thread_count; i++)
    if (!join(engine->workers[i], until)) {
      engine->workers[i]->haunted = haunted = true;
      engine->workers[0]->haunted = true;
    }
  for (uint32_t i = 1; i <= engine->thread_count; i++) {
    np_worker *worker = engine->workers[i];
    if (worker->haunted) continue;
    np_context_quit(&worker->outside.waiter);
    /* With its thread gone its mailbox is ours: tasks posted too late. */
    np_worker_drop_tasks(worker);
  }
  if (haunted) return NP_TIMEOUT;
  for (uint32_t i = 1; i <= engine->thread_count; i++) {
    np_worker_free(engine->workers[i]);
    engine->workers[i] = NULL;
  }
  return NP_OK;
}

np_status np_engine_stop(np_engine *engine, int64_t patience) {
  int64_t now = np_clock_now();
  int64_t until = patience > NP_NEVER - now ? NP_NEVER : now + patience;
  np_status status = join_all(engine, until);
  drop_pool(engine); /* What tasks spawned while they unwound. */
  np_worker_drop_tasks(engine->workers[0]);
  np_timers_free(&engine->workers[0]->waker.own_timers);
  np_names_free(engine);
  if (status == NP_OK) atomic_store(&engine->thread_count, 0);
  return status;
}

/* --- again
 * ---------------------------------------------------------------------- */

/* The threads of a forked child's engine stayed in the parent, with whatever
 * they held: the worker begins anew and leaves all that where it is. */
static np_status disown(np_worker *worker) {
  np_waker *me = &worker->waker;
  np_event event; /* The old one is the parent's too. */
  if (np_event_open(&event) != NP_OK) return NP_IO;
  np_event_close(&me->event);
  me->event = event;
  np_alarm_close(worker->alarm);
  worker->alarm = NULL;
  me->dozing = false;
  np_timers_init(&me->own_timers, false, 0);
  me->ready_first = me->ready_last = NULL;
  me->ready_count = 0;
  me->idle_bubbles = NULL;
  atomic_store(&me->mailbox, NULL);
  atomic_store(&me->sleeping, 0);
  worker->tasks = NULL;
  worker->free_tasks = NULL;
  worker->task_high = worker->task_capacity = worker->free_task_count = 0;
  worker->live_tasks = 0;
  np_lock_init(&worker->engine->root->object.lock);
  return NP_OK;
}

static np_status replace(np_engine **engine) {
  np_engine *old = *engine;
  np_worker *worker = old->workers[0];
  np_engine *fresh = np_engine_new();
  if (fresh == NULL) return NP_NOMEM;
  if (np_engine_is_forked(old)) {
    np_status status = disown(worker);
    if (status != NP_OK) {
      np_engine_free(fresh);
      return status;
    }
  }
  fresh->workers[0] = worker;
  fresh->root = old->root;
  fresh->main_waiter = &worker->outside.waiter;
  worker->engine = fresh;
  np_output_init(fresh);
  *engine = fresh;
  return NP_OK;
}

static void renew_root(np_context *root) {
  np_lock_take(&root->object.lock);
  np_value_drop(&root->cause);
  if (root->error.tag != NP_SLOT) np_value_drop(&root->error);
  root->error = root->cause = nothing;
  atomic_store(&root->state, NP_OK);
  np_lock_leave(&root->object.lock);
}

np_status np_engine_renew(np_engine **engine) {
  np_worker *worker = (*engine)->workers[0];
  if ((*engine)->thread_count != 0 || np_engine_is_forked(*engine)) {
    np_status status = replace(engine);
    if (status != NP_OK) return status;
  }
  np_waker *me = &worker->waker;
  me->alone = !worker->haunted;
  np_waker_forget_slots(me); /* Lua has emptied its table too. */
  me->current = &worker->outside.waiter;
  me->timers = &me->own_timers;
  atomic_store(&me->attention, 0);
  worker->exit_status = 0;
  atomic_store(&worker->stopping, false);
  np_value_drop(&worker->staged);
  np_value_drop(&worker->staged_key);
  np_value_drop(&me->front.received);
  renew_root((*engine)->root);
  return NP_OK;
}

np_status np_engine_close(np_engine *engine, int64_t grace) {
  if (engine == NULL) return NP_OK;
  if (np_engine_is_forked(engine)) return NP_FORKED;
  np_worker *worker = engine->workers[0];
  np_engine_halt(engine, grace);
  /* Idle threads need a moment to come, even when they have no grace. */
  np_status status =
      np_engine_stop(engine,
                     grace > NP_NEVER / 2 ? NP_NEVER : grace + NP_SECOND / 10);
  np_output_free(engine);
  /* Somebody may still look at these: they are left as they are. */
  if (status != NP_OK || worker->haunted) return NP_TIMEOUT;
  np_context_quit(&worker->outside.waiter);
  np_object_release(&engine->root->object);
  np_worker_free(worker);
  np_engine_free(engine);
  return NP_OK;
}

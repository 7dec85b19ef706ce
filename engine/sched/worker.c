#include "base/alloc.h"
#include "base/assert.h"
#include "base/thread.h"
#include "sched/engine.h"

#define POLL_EVERY 64         /* switches between two looks around */
#define SPIN_NANOSECONDS 5000 /* before a sleep: a wake costs about as much */

/* --- the pool of spawned tasks ------------------------------------------- */

static void wake_one_sleeper(np_engine *engine) {
  for (uint32_t i = 1; i <= engine->thread_count; i++) {
    np_waker *waker = &engine->workers[i]->waker;
    if (atomic_load_explicit(&waker->sleeping, memory_order_seq_cst) != 0 &&
        atomic_exchange_explicit(&waker->sleeping, 0, memory_order_seq_cst)) {
      np_event_signal(&waker->event);
      return;
    }
  }
}

static np_status pool_push(np_engine *engine, np_task *task) {
  np_lock_take(&engine->pool_lock);
  uint32_t count =
      atomic_load_explicit(&engine->pool_count, memory_order_relaxed);
  if (count >= NP_POOL_MAX) {
    np_lock_leave(&engine->pool_lock);
    return NP_LIMIT;
  }
  task->waiter.next = NULL;
  if (engine->pool_last != NULL)
    engine->pool_last->waiter.next = &task->waiter;
  else
    engine->pool_first = task;
  engine->pool_last = task;
  /* seq_cst: counted before the sleepers are looked at; see np_waker_post. */
  atomic_store_explicit(&engine->pool_count, count + 1, memory_order_seq_cst);
  np_lock_leave(&engine->pool_lock);
  wake_one_sleeper(engine);
  return NP_OK;
}

static np_task *pool_take(np_engine *engine) {
  if (atomic_load_explicit(&engine->pool_count, memory_order_seq_cst) == 0)
    return NULL;
  np_lock_take(&engine->pool_lock);
  np_task *task = engine->pool_first;
  if (task != NULL) {
    engine->pool_first = (np_task *)(void *)task->waiter.next;
    if (engine->pool_first == NULL) engine->pool_last = NULL;
    atomic_fetch_sub_explicit(&engine->pool_count, 1, memory_order_relaxed);
  }
  np_lock_leave(&engine->pool_lock);
  return task;
}

/* Worker 0 begins spawned tasks only when nobody else can. */
static bool takes_spawned(const np_worker *worker) {
  return worker->number != 0 || worker->engine->thread_count == 0;
}

/* No memory for its record: its scope hears of it, as of any failure. */
static void fail_to_begin(np_worker *worker, np_task *task) {
  np_engine *engine = worker->engine;
  np_context *scope = task->scope;
  np_value error = {.tag = NP_NOTHING};
  (void)np_value_string(&error, "out of memory", 13); /* Short: no memory. */
  if (scope == engine->root) { /* Which lives on; as npl_root_fail. */
    np_lock_take(&scope->object.lock);
    if (scope->error.tag == NP_NOTHING) scope->error = error;
    np_lock_leave(&scope->object.lock);
    np_worker_nudge(engine->workers[0]);
  } else if (!(task->options & NP_TASK_ISOLATED)) {
    np_scope_fail(&worker->waker, scope, error);
  }
  np_task_end(worker, task, NP_TASK_FAILED, error);
}

static np_task *take_spawned(np_worker *worker) {
  np_engine *engine = worker->engine;
  np_task *task = takes_spawned(worker) ? pool_take(engine) : NULL;
  if (task == NULL) return NULL;
  if (np_task_adopt(worker, task) != NP_OK) {
    fail_to_begin(worker, task);
    return NULL;
  }
  return task;
}

np_status np_engine_spawn(np_worker *from, np_task *task, uint32_t target) {
  np_engine *engine = from->engine;
  if (from->waker.current->bubble != NULL || engine->thread_count == 0) {
    np_status status = np_task_adopt(from, task);
    if (status == NP_OK) np_ready_push(&from->waker, &task->waiter);
    return status;
  }
  if (target == 0) return pool_push(engine, task);
  if (target > engine->thread_count) return NP_RANGE;
  /* Its waker changes when it is adopted, under the locks that guard it. */
  np_waker_post(&engine->workers[target]->waker, &task->waiter);
  return NP_OK;
}

/* --- sleeping --------------------------------------------------------------
 */

static bool has_news(np_worker *worker) {
  np_waker *me = &worker->waker;
  return atomic_load_explicit(&me->mailbox, memory_order_seq_cst) != NULL ||
         atomic_load_explicit(&me->attention, memory_order_seq_cst) != 0 ||
         (takes_spawned(worker) &&
          atomic_load_explicit(&worker->engine->pool_count,
                               memory_order_seq_cst) != 0);
}

/* Under the idle lock: nothing will make this worker get up. One that sleeps
 * but was signaled is on its feet already; another thread may have taken the
 * timer that it lay down with. */
static bool sleeps_for_ever(np_worker *worker) {
  np_waker *waker = &worker->waker;
  return worker->asleep && worker->asleep_until == NP_NEVER &&
         atomic_load(&waker->sleeping) != 0 &&
         atomic_load(&waker->mailbox) == NULL &&
         np_timers_next(&waker->own_timers) == NP_NEVER;
}

/* Under the idle lock, by a worker that has just lain down: true if all sleep,
 * nothing is on its way and no time will wake anyone. */
static bool is_deadlock(np_engine *engine) {
  if (engine->asleep != engine->thread_count + 1 ||
      atomic_load(&engine->outsiders) != 0 ||
      atomic_load(&engine->pool_count) != 0)
    return false;
  for (uint32_t i = 0; i <= engine->thread_count; i++)
    if (!sleeps_for_ever(engine->workers[i])) return false;
  return true;
}

/* The first task of worker 0 that waits is told; `run` unwinds from there.
 * False when there is none: then this is how an engine rests. */
static bool tell_deadlock(np_worker *worker) {
  np_engine *engine = worker->engine;
  np_waiter *main_waiter = engine->main_waiter;
  if (main_waiter == NULL || !np_waiter_claim(main_waiter)) return false;
  main_waiter->code = NP_DEADLOCK;
  np_wake(&worker->waker, main_waiter);
  return true;
}

static bool lie_down(np_worker *worker, int64_t until) {
  np_engine *engine = worker->engine;
  np_lock_take(&engine->idle_lock);
  worker->asleep = true;
  worker->asleep_until = until;
  engine->asleep++;
  bool deadlock = is_deadlock(engine);
  np_lock_leave(&engine->idle_lock);
  return deadlock;
}

static void get_up(np_worker *worker) {
  np_engine *engine = worker->engine;
  np_lock_take(&engine->idle_lock);
  worker->asleep = false;
  worker->asleep_until = NP_NEVER;
  engine->asleep--;
  np_lock_leave(&engine->idle_lock);
}

/* Spinning steals the CPU that the peer needs when there are fewer CPUs than
 * threads. */
static bool spin(np_worker *worker, int64_t until) {
  if (worker->engine->spin_threads == 0) return false;
  int64_t now = np_clock_now(), end = now + SPIN_NANOSECONDS;
  if (until < end) end = until;
  while (now < end) {
    for (int i = 0; i < 32; i++) {
      if (has_news(worker)) return true;
      np_cpu_pause();
    }
    now = np_clock_now();
  }
  return false;
}

/* Sleeps until there is news, a timer is due or `until` has come. */
static void sleep_until(np_worker *worker, int64_t until) {
  np_waker *me = &worker->waker;
  int64_t timer = np_timers_next(&me->own_timers);
  int64_t get_up_at = timer < until ? timer : until;
  if (spin(worker, get_up_at)) return;

  /* seq_cst: we say that we sleep, then look once more; a poster posts, then
   * looks whether we sleep. One of the two sees the other. */
  atomic_store_explicit(&me->sleeping, 1, memory_order_seq_cst);
  if (!has_news(worker)) {
    if (!lie_down(worker, until) || !tell_deadlock(worker))
      np_event_wait(&me->event, -1, get_up_at);
    get_up(worker);
  }
  atomic_store_explicit(&me->sleeping, 0, memory_order_seq_cst);
  np_event_clear(&me->event);
}

void np_worker_nudge(np_worker *worker) {
  atomic_store_explicit(&worker->waker.attention, 1, memory_order_seq_cst);
  /* As with a post: it sees the call, or we see that it sleeps. */
  if (atomic_exchange_explicit(&worker->waker.sleeping, 0,
                               memory_order_seq_cst) != 0)
    np_event_signal(&worker->waker.event);
}

/* --- the loop ----------------------------------------------------------------
 */

/* Moves the clock of bubbles in which every task is parked. */
static bool advance_bubble(np_waker *me) {
  np_bubble *bubble = me->idle_bubbles;
  if (bubble == NULL) return false;
  me->idle_bubbles = bubble->next_idle;
  bubble->is_idle = false;
  if (bubble->active != 0) return true;
  np_waiter *settler = bubble->settler;
  if (settler != NULL && np_waiter_claim(settler)) {
    bubble->settler = NULL;
    settler->code = NP_OK;
    np_ready_push(me, settler);
    return true;
  }
  int64_t next = np_timers_next(&bubble->timers);
  if (next != NP_NEVER && !bubble->is_over) {
    bubble->timers.now = next;
    np_timers_fire(&bubble->timers, me, next);
    bubble->active++; /* Looks again if what fired woke nobody. */
    np_bubble_parked(me, bubble);
    return true;
  }
  if (bubble->root != NULL && np_waiter_claim(bubble->root)) {
    bubble->root->code = NP_DEADLOCK;
    np_ready_push(me, bubble->root);
  }
  return true;
}

static void hear_interrupt(np_worker *worker) {
  np_engine *engine = worker->engine;
  np_lock_take(&engine->interrupt_lock);
  np_value cause = engine->interrupt_cause;
  engine->interrupt_cause.tag = NP_NOTHING;
  np_lock_leave(&engine->interrupt_lock);
  np_context_end(&worker->waker, engine->root, NP_CANCELED, cause);
}

void np_engine_interrupt(np_engine *engine, np_value cause) {
  /* With threads every claim is atomic and any thread may cancel; without,
   * worker 0 claims without an atomic step and must do it itself. */
  if (atomic_load_explicit(&engine->thread_count, memory_order_acquire) != 0) {
    np_context_end(NULL, engine->root, NP_CANCELED, cause);
    return;
  }
  np_lock_take(&engine->interrupt_lock);
  np_value_drop(&engine->interrupt_cause);
  engine->interrupt_cause = cause;
  np_lock_leave(&engine->interrupt_lock);
  atomic_store_explicit(&engine->interrupted, true, memory_order_release);
  np_worker_nudge(engine->workers[0]);
}

static bool look_around(np_worker *worker) {
  np_waker *me = &worker->waker;
  if (np_unlikely(worker->number == 0 &&
                  atomic_load_explicit(&worker->engine->interrupted,
                                       memory_order_acquire)) &&
      atomic_exchange(&worker->engine->interrupted, false))
    hear_interrupt(worker);
  np_mailbox_drain(me);
  /* An exchange: what was set before we clear it is seen by the tasks that run
   * next (np_waiter_resumed), and what is set after it stays set. */
  if (atomic_load_explicit(&me->attention, memory_order_relaxed) != 0)
    atomic_exchange_explicit(&me->attention, 0, memory_order_seq_cst);
  if (np_timers_next(&me->own_timers) != NP_NEVER)
    np_timers_fire(&me->own_timers, me, np_clock_now());
  return me->ready_first != NULL; /* Whichever of these woke them. */
}

/* A spawned task that was posted to this very worker has no slot yet. */
static np_task *begin_posted(np_worker *worker, np_task *task) {
  if (task->options & NP_TASK_BEGUN) return task;
  if (np_task_adopt(worker, task) == NP_OK) return task;
  fail_to_begin(worker, task);
  return NULL;
}

static np_task *to_task(np_worker *worker, np_waiter *waiter) {
  np_task *task = (np_task *)(void *)waiter;
  if (!waiter->pumps) {
    task = begin_posted(worker, task);
    if (task == NULL) return NULL;
  }
  np_waiter_resumed(&worker->waker, waiter);
  worker->waker.front.task = task->slot;
  worker->waker.front.generation = task->generation;
  worker->waker.front.id = (double)task->id;
  return task;
}

np_task *np_worker_next(np_worker *worker, int64_t until) {
  np_waker *me = &worker->waker;
  for (;;) {
    if (np_unlikely(++worker->switches % POLL_EVERY == 0)) {
      look_around(worker);
      /* Tasks that always have something to do get no longer than others. */
      if (np_unlikely(
              atomic_load_explicit(&worker->stopping, memory_order_acquire)) &&
          worker->stop_by <= np_clock_now())
        return NULL;
      np_task *spawned = take_spawned(worker);
      if (spawned != NULL) np_ready_push(me, &spawned->waiter);
    }
    np_waiter *waiter = np_ready_pop(me);
    if (np_likely(waiter != NULL)) {
      np_task *task = to_task(worker, waiter);
      if (np_likely(task != NULL)) return task;
      continue;
    }
    me->current = &worker->outside.waiter;
    if (look_around(worker)) {
      /* Woken for two things at once, or for the pool and then found these:
       * somebody else may begin what waits there. */
      if (atomic_load_explicit(&worker->engine->pool_count,
                               memory_order_relaxed) != 0)
        wake_one_sleeper(worker->engine);
      continue;
    }
    np_task *spawned = take_spawned(worker);
    if (spawned != NULL) {
      np_ready_push(me, &spawned->waiter);
      continue;
    }
    if (me->idle_bubbles != NULL) {
      advance_bubble(me);
      continue;
    }
    int64_t limit = until;
    if (atomic_load_explicit(&worker->stopping, memory_order_acquire)) {
      /* Canceled tasks unwind first, within the grace that they were given. */
      if (worker->live_tasks == 0) return NULL;
      if (worker->stop_by < limit) limit = worker->stop_by;
    }
    if (limit != NP_NEVER && limit <= np_clock_now()) return NULL;
    sleep_until(worker, limit);
  }
}

void np_worker_loop(np_worker *worker) {
  np_worker_report(worker, NP_OK);
  np_task *task;
  while ((task = np_worker_next(worker, NP_NEVER)) != NULL)
    np_worker_step(worker, task);
}

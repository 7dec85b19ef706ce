#include "sched/engine.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/thread.h"
#include "sched/output.h"

static void free_kept(np_kept *kept) {
  for (uint32_t i = 0; i < kept->high; i++) np_object_release(kept->objects[i]);
  np_free(kept->objects);
  np_free(kept->free_ids);
}

/* A record that was spawned came from the allocator: it changed workers. */
static void free_record(np_worker *worker, np_task *task) {
  if (task->pooled)
    np_pool_give(&worker->task_pool, task);
  else
    np_free(task);
}

void np_worker_free(np_worker *worker) {
  if (worker == NULL) return;
  free_kept(&worker->kept);
  for (uint32_t i = 0; i < worker->task_high; i++)
    free_record(worker, worker->tasks[i]);
  np_pool_clear(&worker->task_pool);
  np_free(worker->tasks);
  np_free(worker->free_tasks);
  np_value_drop(&worker->staged);
  np_value_drop(&worker->staged_key);
  np_free(worker->staged_handles);
  np_alarm_close(worker->alarm);
  np_waker_free(&worker->waker);
  np_free(worker);
}

static np_worker *new_worker(np_engine *engine, uint32_t number,
                             uint64_t seed) {
  np_worker *worker = np_alloc_zero(sizeof *worker);
  if (worker == NULL) return NULL;
  if (np_waker_init(&worker->waker, seed + number) != NP_OK) {
    np_free(worker);
    return NULL;
  }
  worker->engine = engine;
  worker->number = number;
  np_pool_init(&worker->task_pool, sizeof(np_task));
  np_waiter_init(&worker->outside.waiter, &worker->waker);
  worker->outside.waiter.pumps = true;
  worker->waker.current = &worker->outside.waiter;
  worker->asleep_until = NP_NEVER;
  atomic_init(&worker->stopping, false);
  return worker;
}

/* A page of our own that the kernel wipes in a child. */
static const volatile uint8_t *open_page(void) {
  uint8_t *page = MAP_FAILED;
#ifdef MADV_WIPEONFORK
  page = mmap(NULL, NP_OWN_PAGE, PROT_READ | PROT_WRITE,
              MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return NULL;
  if (madvise(page, NP_OWN_PAGE, MADV_WIPEONFORK) != 0) {
    munmap(page, NP_OWN_PAGE);
    return NULL;
  }
  *page = 1;
#endif
  return page != MAP_FAILED ? page : NULL;
}

np_engine *np_engine_new(void) {
  np_engine *engine = np_alloc_zero(sizeof *engine);
  if (engine == NULL) return NULL;
  engine->pid = getpid();
  engine->own_page = open_page();
  np_lock_init(&engine->pool_lock);
  np_lock_init(&engine->idle_lock);
  np_lock_init(&engine->interrupt_lock);
  np_lock_init(&engine->names_lock);
  return engine;
}

void np_engine_free(np_engine *engine) {
  np_value_drop(&engine->interrupt_cause);
  if (engine->own_page != NULL)
    munmap((void *)(uintptr_t)engine->own_page, NP_OWN_PAGE);
  np_free(engine);
}

np_engine *np_engine_open(bool ours, uint64_t seed) {
  np_engine *engine = np_engine_new();
  if (engine == NULL) return NULL;
  engine->workers[0] = new_worker(engine, 0, seed);
  if (engine->workers[0] == NULL) goto free_engine;
  engine->workers[0]->is_ours = ours;
  engine->root = np_context_open(&engine->workers[0]->waker, NULL);
  if (engine->root == NULL) goto free_worker;
  np_context_join(engine->root, &engine->workers[0]->outside.waiter);
  np_output_init(engine);
  return engine;

free_worker:
  np_worker_free(engine->workers[0]);
free_engine:
  np_engine_free(engine);
  return NULL;
}

typedef struct thread_start {
  np_worker *worker;
  void (*run)(np_worker *worker);
} thread_start;

static void *thread_main(void *argument) {
  thread_start start = *(thread_start *)argument;
  np_free(argument);
  start.run(start.worker);
  np_worker_report(start.worker, NP_STATE); /* If it has not yet. */
  atomic_store(&start.worker->ended, true);
  return NULL;
}

static np_status start_worker(np_engine *engine, uint32_t number,
                              void (*run)(np_worker *worker)) {
  np_worker *worker =
      new_worker(engine, number, engine->workers[0]->waker.random.state);
  thread_start *start = np_alloc(sizeof *start);
  if (worker == NULL || start == NULL) goto fail;
  worker->is_ours = true;
  worker->start_status = NP_STATE;
  worker->waker.alone = false;
  worker->waker.spins = engine->spin_threads != 0;
  engine->workers[0]->waker.spins = worker->waker.spins;
  engine->workers[0]->waker.alone = false;
  engine->workers[number] = worker;
  np_context_join(engine->root, &worker->outside.waiter);
  *start = (thread_start){worker, run};
  char name[16];
  snprintf(name, sizeof name, "neap-%u", (unsigned)number);
  if (np_thread_start(&worker->thread, name, thread_main, start) != NP_OK) {
    np_context_quit(&worker->outside.waiter);
    engine->workers[number] = NULL;
    goto fail;
  }
  worker->has_thread = true;
  return NP_OK;

fail:
  np_worker_free(worker);
  np_free(start);
  return NP_NOMEM;
}

void np_worker_report(np_worker *worker, np_status status) {
  if (worker->number == 0 || worker->has_reported) return;
  np_engine *engine = worker->engine;
  np_event *event = &worker->waker.event;
  worker->has_reported = true;
  worker->start_status = status;
  if (atomic_fetch_sub(&engine->unreported, 1) == 1)
    np_event_signal(&engine->all_reported);
  if (status != NP_OK) return;
  while (atomic_load(&engine->thread_count) < worker->number &&
         !atomic_load(&worker->stopping))
    np_event_wait(event, -1, NP_NEVER);
}

/* Started, but of no use: none has begun a task. */
static void discard(np_engine *engine, uint32_t first, uint32_t last) {
  for (uint32_t i = first; i <= last; i++) {
    np_worker *worker = engine->workers[i];
    atomic_store(&worker->stopping, true);
    np_event_signal(&worker->waker.event);
    pthread_join(worker->thread, NULL);
    np_context_quit(&worker->outside.waiter);
    engine->workers[i] = NULL;
    np_worker_free(worker);
  }
}

/* Starts first..count; *last is the last whose thread runs. All of them have
 * reported when it returns. */
static np_status start_all(np_engine *engine, uint32_t first, uint32_t count,
                           uint32_t *last, void (*run)(np_worker *worker)) {
  np_status status = NP_OK;
  atomic_store(&engine->unreported, 1); /* Ours, so that it waits for us. */
  *last = first - 1;
  while (status == NP_OK && *last < count) {
    atomic_fetch_add(&engine->unreported, 1);
    status = start_worker(engine, *last + 1, run);
    if (status == NP_OK)
      ++*last;
    else
      atomic_fetch_sub(&engine->unreported, 1);
  }
  if (atomic_fetch_sub(&engine->unreported, 1) != 1)
    while (!np_event_wait(&engine->all_reported, -1, NP_NEVER)) continue;
  return status;
}

np_status np_engine_start(np_engine *engine, uint32_t count,
                          void (*run)(np_worker *worker)) {
  if (count > NP_WORKERS_MAX) return NP_LIMIT;
  uint32_t first = engine->thread_count + 1, last;
  if (first > count) return NP_OK;
  if (np_event_open(&engine->all_reported) != NP_OK) return NP_IO;
  np_status status = start_all(engine, first, count, &last, run);
  np_event_clear(&engine->all_reported);
  np_event_close(&engine->all_reported);
  uint32_t good = first - 1;
  while (good < last && engine->workers[good + 1]->start_status == NP_OK)
    good++;
  if (good < last) status = engine->workers[good + 1]->start_status;
  discard(engine, good + 1, last);
  np_lock_take(&engine->idle_lock);
  atomic_store(&engine->thread_count, good);
  np_lock_leave(&engine->idle_lock);
  for (uint32_t i = first; i <= good; i++)
    np_event_signal(&engine->workers[i]->waker.event);
  return status;
}

/* A slot for a record; the free list has room for every slot given out. */
static np_status take_slot(np_worker *worker, uint32_t *slot) {
  if (worker->free_task_count != 0) {
    *slot = worker->free_tasks[--worker->free_task_count];
    return NP_OK;
  }
  if (worker->task_high == worker->task_capacity) {
    uint32_t capacity =
        worker->task_capacity != 0 ? worker->task_capacity * 2 : 64;
    np_task **tasks = np_realloc(worker->tasks, capacity * sizeof(np_task *));
    if (tasks == NULL) return NP_NOMEM;
    worker->tasks = tasks;
    uint32_t *slots = np_realloc(worker->free_tasks, capacity * sizeof *slots);
    if (slots == NULL) return NP_NOMEM;
    worker->free_tasks = slots;
    worker->task_capacity = capacity;
  }
  np_task *task = np_pool_take(&worker->task_pool);
  if (task == NULL) return NP_NOMEM;
  task->pooled = true;
  *slot = worker->task_high++;
  task->slot = *slot;
  worker->tasks[*slot] = task;
  return NP_OK;
}

static void fill_task(np_worker *worker, np_task *task, uint32_t options) {
  np_waiter *current = worker->waker.current;
  if (task->waiter.waker == NULL)
    np_waiter_init(&task->waiter, &worker->waker);
  else
    np_waiter_renew(&task->waiter, &worker->waker);
  task->waiter.bubble = current->bubble;
  task->options = options;
  task->id = ++worker->started * 256 + worker->number;
  task->parent_id = ((np_task *)(void *)current)->id;
  task->outcome = NULL;
}

static void count_tasks(np_worker *worker, int change) {
  worker->live_tasks += (uint32_t)change;
  /* Only this thread writes: a plain store is enough, readers add up. */
  atomic_store_explicit(&worker->counted_live, worker->live_tasks,
                        memory_order_relaxed);
  atomic_store_explicit(&worker->counted_tasks, worker->started,
                        memory_order_relaxed);
}

np_task *np_task_new(np_worker *worker, np_context *scope, uint32_t options) {
  uint32_t slot;
  if (take_slot(worker, &slot) != NP_OK) return NULL;
  np_task *task = worker->tasks[slot];
  fill_task(worker, task, options | NP_TASK_BEGUN);
  if (options & NP_TASK_DAEMON) {
    np_outcome *outcome = np_task_outcome(task);
    if (outcome == NULL) {
      worker->free_tasks[worker->free_task_count++] = slot;
      return NULL;
    }
    np_object_release(&outcome->object);
  }
  count_tasks(worker, 1);
  np_scope_admit(scope, task);
  return task;
}

np_task *np_task_find(np_worker *worker, uint32_t slot, uint32_t generation) {
  if (slot >= worker->task_high) return NULL;
  np_task *task = worker->tasks[slot];
  return task->generation == generation && task->scope != NULL ? task : NULL;
}

/* The task keeps its reference until the scope has let it go: the scope's owner
 * may be about to cancel it as a daemon. */
void np_task_end_outcome(np_worker *worker, np_task *task, int32_t state,
                         np_value result) {
  np_outcome *outcome = task->outcome;
  if (outcome == NULL || outcome->task == NULL) {
    np_value_drop(&result);
    return;
  }
  np_lock_take(&outcome->object.lock);
  outcome->task = NULL;
  outcome->state = state;
  outcome->result = result;
  /* Nobody need cancel it any more. */
  atomic_store_explicit(&task->waiter.canceled, true, memory_order_relaxed);
  np_lock_leave(&outcome->object.lock);
  np_object_wake_all(&worker->waker, &outcome->object, NP_OK);
}

static void release_outcome(np_task *task) {
  if (task->outcome == NULL) return;
  np_object_release(&task->outcome->object);
  task->outcome = NULL;
}

/* An error may end a task that had enlisted and never yielded for it. */
static void leave_stale_wait(np_waker *me, np_waiter *waiter) {
  if (!np_waiter_is_stale(waiter)) return;
  np_waiter *current = me->current;
  me->current = waiter;
  np_waiter_withdraw(me);
  me->current = current;
}

void np_task_end(np_worker *worker, np_task *task, int32_t state,
                 np_value result) {
  np_waker *me = &worker->waker;
  bool begun = (task->options & NP_TASK_BEGUN) != 0;
  if (begun) leave_stale_wait(me, &task->waiter);
  np_task_end_outcome(worker, task, state, result);
  np_value_drop(&task->payload);
  if (begun) count_tasks(worker, -1); /* Whom we wake now counts us no more. */
  np_scope_dismiss(me, task);
  release_outcome(task);
  if (task->waiter.bubble != NULL && begun)
    np_bubble_parked(me, task->waiter.bubble);
  task->generation++;
  if (task->step != NULL) { /* The next one here may be Lua's. */
    task->step = NULL;
    task->state = NULL;
  }
  if (!begun) {
    np_free(task); /* Spawned, and no worker gave it a slot. */
    return;
  }
  worker->free_tasks[worker->free_task_count++] = task->slot;
}

np_task *np_task_spawn_new(np_worker *from, np_context *scope,
                           uint32_t options) {
  np_task *task = np_alloc_zero(sizeof *task);
  if (task == NULL) return NULL;
  fill_task(from, task, options | NP_TASK_SPAWNED);
  np_outcome *outcome = np_task_outcome(task);
  if (outcome == NULL) {
    np_free(task);
    return NULL;
  }
  outcome->shared = true;
  count_tasks(from, 0); /* It lives where it begins, but was started here. */
  np_object_release(&outcome->object); /* The task keeps one of its own. */
  np_scope_admit(scope, task);
  return task;
}

np_status np_task_adopt(np_worker *worker, np_task *task) {
  uint32_t slot;
  np_status status = take_slot(worker, &slot);
  if (status != NP_OK) return status;
  np_task *old = worker->tasks[slot];
  task->slot = slot;
  task->generation = old->generation + 1;
  if (task->step == NULL) task->state = old->state;
  free_record(worker, old);
  worker->tasks[slot] = task;
  /* Whoever cancels looks up the waker under one of these two locks. In address
   * order, as a select on both takes them. */
  np_object *first = &task->outcome->object, *second = &task->scope->object;
  if ((uintptr_t)first > (uintptr_t)second) {
    first = &task->scope->object;
    second = &task->outcome->object;
  }
  np_lock_take(&first->lock);
  np_lock_take(&second->lock);
  task->waiter.waker = &worker->waker;
  np_lock_leave(&second->lock);
  np_lock_leave(&first->lock);
  task->options |= NP_TASK_BEGUN;
  count_tasks(worker, 1);
  return NP_OK;
}

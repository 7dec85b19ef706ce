#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/embedded.h"
#include "base/thread.h"
#include "bind/npl_core.h"
#include "sched/quota.h"
#include "script/state.h"

const char *npl_cdef(void) { return np_embedded_cdef; }

np_front *npl_open(void) {
  uint64_t seed = (uint64_t)np_clock_now() ^ ((uint64_t)getpid() << 32);
  np_engine *engine = np_engine_open(false, seed);
  if (engine == NULL) return NULL;
  engine->main_waiter = &engine->workers[0]->outside.waiter;
  return &engine->workers[0]->waker.front;
}

static void free_config(np_script_config *config) {
  if (config == NULL) return;
  np_free((void *)(uintptr_t)config->library);
  np_free((void *)(uintptr_t)config->path);
  np_free((void *)(uintptr_t)config->cpath);
  np_free(config);
}

void npl_close(np_front *w, double grace) {
  np_engine *engine = npl_worker(w)->engine;
  np_script_config *config = engine->script;
  np_engine_close(engine, np_clock_after(0, grace));
  free_config(config);
}

static bool copy_text(const char **out, const char *text) {
  *out = NULL;
  if (text == NULL) return true;
  size_t size = strlen(text) + 1;
  char *copy = np_alloc(size);
  if (copy == NULL) return false;
  memcpy(copy, text, size);
  *out = copy;
  return true;
}

int32_t npl_start(np_front *w, uint32_t workers, const char *library,
                  const char *path, const char *cpath, bool guest) {
  np_engine *engine = npl_worker(w)->engine;
  if (engine->script == NULL) {
    np_script_config *config = np_alloc_zero(sizeof *config);
    if (config == NULL) return NP_NOMEM;
    config->guest = guest;
    if (!copy_text(&config->library, library) ||
        !copy_text(&config->path, path) || !copy_text(&config->cpath, cpath)) {
      free_config(config);
      return NP_NOMEM;
    }
    engine->script = config;
  }
  /* Worker 0 sleeps while it waits and is not counted against the CPUs. */
  engine->spin_threads = workers <= (uint32_t)np_thread_cpus() ? workers : 0;
  return np_engine_start(engine, workers, np_script_thread);
}

uint32_t npl_workers(np_front *w) {
  return atomic_load(&npl_worker(w)->engine->thread_count);
}

uint32_t npl_number(np_front *w) { return npl_worker(w)->number; }

uint32_t npl_cpus(void) { return np_quota_cpus(); }

/* Whether the code that runs is in no task (a host's main thread). */
bool npl_is_outside(np_front *w) { return npl_me(w)->current->pumps; }

double npl_now(np_front *w) {
  return (double)np_timers_now(npl_me(w)->timers) / 1e9;
}

int npl_wake_fd(np_front *w) { return npl_me(w)->event.fd; }

/* 0 started, 1 live, 2 ready here, 3 pool. */
double npl_stat(np_front *w, int which) {
  np_engine *engine = npl_worker(w)->engine;
  if (which == 2) return npl_me(w)->ready_count;
  if (which == 3) return atomic_load(&engine->pool_count);
  uint64_t sum = 0;
  uint32_t threads = atomic_load(&engine->thread_count);
  for (uint32_t i = 0; i <= threads; i++) {
    np_worker *worker = engine->workers[i];
    sum += which == 0 ? atomic_load(&worker->counted_tasks)
                      : atomic_load(&worker->counted_live);
  }
  return (double)sum;
}

int32_t npl_next(np_front *w, double seconds) {
  np_worker *worker = npl_worker(w);
  int64_t until = NP_NEVER;
  if (seconds >= 0) {
    int64_t now = np_clock_now();
    until = np_clock_after(now, seconds);
  }
  for (;;) {
    np_task *task = np_worker_next(worker, until);
    if (task == NULL) return NP_IDLE;
    if (task == &worker->outside) return NP_PUMP;
    if (task->step == NULL) return (int32_t)task->slot;
    task->step(worker, task);
  }
}

double npl_next_timer(np_front *w) {
  np_waker *me = npl_me(w);
  if (me->ready_count != 0) return 0;
  int64_t next = np_timers_next(&me->own_timers);
  if (next == NP_NEVER) return -1;
  int64_t now = np_clock_now();
  return next > now ? (double)(next - now) / 1e9 : 0;
}

/* The current task (or the outside) is who is told of a deadlock. */
void npl_main(np_front *w, bool waits) {
  npl_worker(w)->engine->main_waiter = waits ? npl_me(w)->current : NULL;
}

np_bubble *npl_bubble_enter(np_front *w, double seed) {
  np_waker *me = npl_me(w);
  np_bubble *bubble = np_alloc_zero(sizeof *bubble);
  if (bubble == NULL) return NULL;
  /* 2000-01-01 00:00:00 UTC, as Go's bubbles have it. */
  np_timers_init(&bubble->timers, true, INT64_C(946684800) * NP_SECOND);
  np_random_seed(&bubble->random, (uint64_t)(int64_t)seed);
  if (seed >= 0) bubble->timers.random = &bubble->random;
  bubble->active = 1;
  bubble->root = me->current;
  me->current->bubble = bubble;
  me->timers = &bubble->timers;
  return bubble;
}

void npl_bubble_over(np_front *w, np_bubble *bubble) {
  (void)w;
  bubble->is_over = true;
}

void npl_bubble_leave(np_front *w, np_bubble *bubble) {
  np_waker *me = npl_me(w);
  np_bubble **link = &me->idle_bubbles;
  while (*link != NULL && *link != bubble) link = &(*link)->next_idle;
  if (*link != NULL) *link = bubble->next_idle;
  me->current->bubble = NULL;
  me->timers = &me->own_timers;
  np_timers_free(&bubble->timers);
  np_free(bubble);
}

int32_t npl_settle(np_front *w) {
  np_waker *me = npl_me(w);
  np_bubble *bubble = me->current->bubble;
  if (bubble == NULL || bubble->settler != NULL) return NP_STATE;
  bubble->settler = me->current;
  int32_t status = np_wait_bare(me);
  if (status == NP_CANCELED) bubble->settler = NULL;
  return status;
}

bool npl_in_bubble(np_front *w) { return npl_me(w)->current->bubble != NULL; }

void npl_seed(np_front *w, double seed, bool shuffle) {
  np_waker *me = npl_me(w);
  np_random_seed(&me->random, (uint64_t)(int64_t)seed);
#ifndef NP_HOSTILE
  me->shuffle = shuffle;
#else
  (void)shuffle;
#endif
}

uint32_t npl_random(np_front *w, uint32_t below) {
  return np_random_below(&npl_me(w)->random, below != 0 ? below : 1);
}

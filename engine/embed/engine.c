#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/thread.h"
#include "embed/host.h"
#include "embed/place.h"
#include "sched/doze.h"
#include "sched/quota.h"

#define MAX_JOBS 65536

/* --- who may come in
 * ---------------------------------------------------------- */

int np_host_enter(neap_engine *engine) {
  if (engine == NULL) return NEAP_CLOSED;
  /* acquire: what the last caller, on another thread, has left behind. */
  if (atomic_exchange_explicit(&engine->inside, 1, memory_order_acquire) != 0)
    return NEAP_BUSY;
  int status = NEAP_OK;
  if (engine->closed)
    status = NEAP_CLOSED;
  else if (np_engine_is_forked(engine->core))
    status = NEAP_FORKED;
  if (status != NEAP_OK) np_host_leave(engine);
  return status;
}

void np_host_leave(neap_engine *engine) {
  atomic_store_explicit(&engine->inside, 0, memory_order_release);
}

void np_host_retain(neap_engine *engine) {
  atomic_fetch_add_explicit(&engine->refs, 1, memory_order_relaxed);
}

void np_host_drop(neap_engine *engine) {
  if (atomic_fetch_sub_explicit(&engine->refs, 1, memory_order_acq_rel) == 1)
    np_free(engine);
}

/* --- opening
 * ------------------------------------------------------------------- */

void neap_config_init(neap_config *config, size_t size) {
  neap_config defaults = {.size = sizeof defaults,
                          .workers = -1,
                          .max_jobs = MAX_JOBS,
                          .grace = 1};
  if (config == NULL) return;
  memset(config, 0, size);
  if (size > sizeof defaults) size = sizeof defaults;
  memcpy(config, &defaults, size);
  config->size = (uint32_t)size;
}

static void tell_opened(np_host_script *script, bool ok, const char *message) {
  if (!ok) {
    np_lock_take(&script->lock);
    snprintf(script->message, sizeof script->message, "%s", message);
    np_lock_leave(&script->lock);
    atomic_fetch_add(&script->failed, 1);
  }
  atomic_fetch_add(&script->ready, 1);
  np_event_signal(&script->opened);
}

static void worker_thread(np_worker *worker) {
  np_host_script *script = worker->engine->script;
  char message[256] = "not enough memory";
  np_status status =
      np_script_open(worker, &script->config, message, sizeof message);
  tell_opened(script, status == NP_OK, message);
  if (status != NP_OK) return;
  np_worker_loop(worker);
  np_worker_drop_tasks(worker);
  np_script_close(worker);
}

static void free_script(np_host_script *script) {
  if (script == NULL) return;
  if (script->opened.fd >= 0) np_event_close(&script->opened);
  np_free((void *)(uintptr_t)script->config.path);
  np_free((void *)(uintptr_t)script->config.library);
  np_free(script);
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

static int open_script(neap_engine *engine, const char *path) {
  np_host_script *script = np_alloc_zero(sizeof *script);
  engine->script = script;
  if (script == NULL) return NEAP_MEMORY;
  script->opened.fd = -1;
  np_lock_init(&script->lock);
  script->config.guest = true;
  char place[4096];
  const char *library = np_place_of_library(place, sizeof place) ? place : NULL;
  if (!copy_text(&script->config.path, path) ||
      !copy_text(&script->config.library, library))
    return NEAP_MEMORY;
  if (np_event_open(&script->opened) != NP_OK) return NEAP_SYSTEM;
  return NEAP_OK;
}

/* Worker 0 is the only one: its state is driven by whoever ticks. */
static int open_alone(neap_engine *engine, neap_error *error) {
  char message[256] = "";
  np_status status = np_script_open(engine->worker, &engine->script->config,
                                    message, sizeof message);
  if (status == NP_OK) return NEAP_OK;
  return np_host_fail(error, np_host_status(status), "cannot open a state: %s",
                      message[0] != '\0' ? message : "not enough memory");
}

static int open_workers(neap_engine *engine, uint32_t count,
                        neap_error *error) {
  np_host_script *script = engine->script;
  np_engine *core = engine->core;
  core->spin_threads = count <= (uint32_t)np_thread_cpus() ? count : 0;
  np_status status = np_engine_start(core, count, worker_thread);
  if (status != NP_OK)
    return np_host_fail(error, np_host_status(status),
                        "cannot start %u workers", (unsigned)count);
  while (atomic_load(&script->ready) < count) {
    np_event_wait(&script->opened, -1, NP_NEVER);
    np_event_clear(&script->opened);
  }
  if (atomic_load(&script->failed) == 0) return NEAP_OK;
  return np_host_fail(error, NEAP_STATE, "a worker's state did not open: %s",
                      script->message);
}

static int open_core(neap_engine *engine, int32_t workers, neap_error *error) {
  uint64_t seed = (uint64_t)np_clock_now() ^ ((uint64_t)getpid() << 32);
  engine->core = np_engine_open(false, seed);
  if (engine->core == NULL)
    return np_host_fail(error, NEAP_MEMORY, "cannot open an engine");
  engine->worker = engine->core->workers[0];
  engine->core->script = engine->script;
  /* Any thread may cancel a job: nothing of it is one thread's alone. */
  engine->worker->waker.alone = false;
  /* A host that waits is no deadlock: it may do anything next. */
  atomic_fetch_add(&engine->core->outsiders, 1);
  if (workers == 0) return open_alone(engine, error);
  return open_workers(engine, workers > 0 ? (uint32_t)workers : np_quota_cpus(),
                      error);
}

/* What has been opened of it goes again. */
static void undo_open(neap_engine *engine) {
  if (engine->core != NULL) {
    np_script_close(engine->worker);
    np_engine_close(engine->core, NP_SECOND);
  }
  free_script(engine->script);
  np_free(engine);
}

int neap_engine_open(const neap_config *config, neap_engine **out,
                     neap_error *error) {
  neap_config settings;
  neap_config_init(&settings, sizeof settings);
  if (out == NULL) return np_host_fail(error, NEAP_ARGUMENT, "engine is NULL");
  *out = NULL;
  if (config != NULL) {
    if (config->size < sizeof(uint32_t) * 2 || config->size > sizeof settings)
      return np_host_fail(error, NEAP_ARGUMENT,
                          "config was not filled by neap_config_init");
    memcpy(&settings, config, config->size);
  }
  if (settings.workers < -1 || settings.workers > NP_WORKERS_MAX ||
      settings.max_jobs == 0 || !(settings.grace >= 0))
    return np_host_fail(error, NEAP_ARGUMENT,
                        "workers is -1 to %d, max_jobs 1 or more, grace 0 or "
                        "more",
                        NP_WORKERS_MAX);
  neap_engine *engine = np_alloc_zero(sizeof *engine);
  if (engine == NULL)
    return np_host_fail(error, NEAP_MEMORY, "cannot open an engine");
  atomic_init(&engine->refs, 1);
  np_lock_init(&engine->lock);
  engine->grace = settings.grace;
  engine->max_jobs = settings.max_jobs;
  int status = open_script(engine, settings.package_path);
  if (status != NEAP_OK)
    np_host_fail(error, status, "cannot open an engine");
  else
    status = open_core(engine, settings.workers, error);
  if (status != NEAP_OK) {
    undo_open(engine);
    return status;
  }
  *out = engine;
  return NEAP_OK;
}

/* --- closing
 * ------------------------------------------------------------------- */

/* Runs worker 0 until all have unwound, or for as long as there is patience. */
static void unwind(neap_engine *engine, int64_t until) {
  np_worker *worker = engine->worker;
  while (worker->live_tasks != 0 || !np_engine_has_halted(engine->core)) {
    int64_t now = np_clock_now(), slice = now + NP_SECOND / 500;
    if (now >= until) return;
    np_task *task;
    while ((task = np_worker_next(worker, slice < until ? slice : until)) !=
           NULL)
      if (task != &worker->outside) np_worker_step(worker, task);
  }
}

static int close_core(neap_engine *engine, double timeout) {
  int64_t now = np_clock_now();
  int64_t grace = timeout < 0 ? NP_NEVER : np_clock_after(0, timeout);
  int64_t until = grace > NP_NEVER - now ? NP_NEVER : now + grace;
  np_engine *core = engine->core;
  np_worker *worker = engine->worker;
  np_engine_halt(core, grace);
  unwind(engine, until);
  now = np_clock_now();
  int64_t patience = NP_SECOND / 10 + (until > now ? until - now : 0);
  np_status status =
      np_engine_stop(core, until == NP_NEVER ? NP_NEVER : patience);
  np_jobs_abandon(engine);
  np_script_close(worker);
  /* The threads of a core that would not stop look at the script. */
  if (np_engine_close(core, 0) == NP_OK && status == NP_OK)
    free_script(engine->script);
  else
    status = NP_TIMEOUT;
  return np_host_status(status);
}

int neap_engine_close(neap_engine *engine, double timeout, neap_error *error) {
  int status = np_host_enter(engine);
  if (status == NEAP_CLOSED && engine != NULL) return NEAP_OK;
  if (status != NEAP_OK)
    return np_host_fail(error, status, "cannot close: %s",
                        neap_status_name(status));
  np_lock_take(&engine->lock);
  engine->closed = true; /* Calls from any thread end here from now on. */
  np_lock_leave(&engine->lock);
  status = close_core(engine, timeout);
  np_events_drop(engine);
  np_host_leave(engine);
  if (status == NEAP_OK) return NEAP_OK;
  return np_host_fail(error, status,
                      "a script did not come back within %g s; its thread is "
                      "left behind",
                      timeout);
}

void neap_engine_release(neap_engine *engine) {
  if (engine == NULL) return;
  if (!engine->closed && !np_engine_is_forked(engine->core))
    neap_engine_close(engine, engine->grace, NULL);
  np_host_drop(engine);
}

/* --- turns
 * --------------------------------------------------------------------- */

static int what_is_left(neap_engine *engine) {
  if (np_doze(engine->worker)) return NEAP_READY;
  np_timers *timers = &engine->worker->waker.own_timers;
  return np_timers_next(timers) != NP_NEVER ? NEAP_TIMER : NEAP_OK;
}

int neap_engine_tick(neap_engine *engine, double budget, double *used) {
  int status = np_host_enter(engine);
  if (status != NEAP_OK) return status;
  np_worker *worker = engine->worker;
  int64_t start = np_clock_now(), now = start;
  int64_t stop = budget < 0 ? NP_NEVER : np_clock_after(start, budget);
  np_doze_end(worker);
  np_task *task;
  while ((task = np_worker_next(worker, start)) != NULL) {
    if (task == &worker->outside) continue;
    np_worker_step(worker, task);
    now = np_clock_now();
    if (now >= stop) break;
  }
  status = what_is_left(engine);
  if (used != NULL) *used = (double)(now - start) / 1e9;
  np_host_leave(engine);
  return status;
}

/* True: poll has something to hand out, or (workers = 0) tick to run. */
static bool has_something(neap_engine *engine) {
  if (engine->events != NULL || np_output_waits(engine->core)) return true;
  if (!np_doze(engine->worker)) return false;
  if (engine->core->thread_count == 0) return true;
  np_task *task; /* Only watchers of ours run here: quickly done. */
  np_doze_end(engine->worker);
  while ((task = np_worker_next(engine->worker, 0)) != NULL)
    if (task != &engine->worker->outside) np_worker_step(engine->worker, task);
  np_doze(engine->worker);
  return engine->events != NULL || np_output_waits(engine->core);
}

int neap_engine_wait(neap_engine *engine, double timeout) {
  int status = np_host_enter(engine);
  if (status != NEAP_OK) return status;
  int64_t until =
      timeout < 0 ? NP_NEVER : np_clock_after(np_clock_now(), timeout);
  if (np_doze_fd(engine->worker) < 0) {
    np_host_leave(engine);
    return NEAP_SYSTEM;
  }
  while (!has_something(engine)) {
    int ready = np_alarm_wait(engine->worker->alarm, until);
    if (ready > 0) continue;
    status = ready == 0 ? NEAP_TIMEOUT : NEAP_INTERRUPTED;
    break;
  }
  np_host_leave(engine);
  return status;
}

int neap_engine_wake_fd(neap_engine *engine) {
  if (np_host_enter(engine) != NEAP_OK) return -1;
  int fd = np_doze_fd(engine->worker);
  np_host_leave(engine);
  return fd;
}

double neap_engine_deadline(neap_engine *engine) {
  if (np_host_enter(engine) != NEAP_OK) return -1;
  double left = -1;
  if (engine->events != NULL || np_doze(engine->worker)) {
    left = 0;
  } else {
    int64_t next = np_timers_next(&engine->worker->waker.own_timers);
    int64_t now = np_clock_now();
    if (next != NP_NEVER) left = next > now ? (double)(next - now) / 1e9 : 0;
  }
  np_host_leave(engine);
  return left;
}

static void count_tasks(np_engine *core, neap_stats *stats) {
  uint32_t threads = atomic_load(&core->thread_count);
  stats->workers = threads;
  for (uint32_t i = 0; i <= threads; i++) {
    np_worker *worker = core->workers[i];
    stats->tasks_started += atomic_load(&worker->counted_tasks);
    stats->tasks_live += atomic_load(&worker->counted_live);
  }
}

int neap_engine_stats(neap_engine *engine, neap_stats *out, size_t size) {
  if (engine == NULL) return NEAP_CLOSED;
  if (out == NULL) return NEAP_ARGUMENT;
  neap_stats stats = {0};
  np_lock_take(&engine->lock); /* Closing waits for us. */
  bool closed = engine->closed;
  if (!closed) count_tasks(engine->core, &stats);
  stats.jobs_running = engine->running;
  np_lock_leave(&engine->lock);
  stats.jobs_started = atomic_load(&engine->started);
  stats.jobs_done = atomic_load(&engine->done);
  stats.jobs_failed = atomic_load(&engine->failed);
  stats.jobs_canceled = atomic_load(&engine->canceled);
  stats.events_waiting = atomic_load(&engine->waiting);
  stats.lines_lost = atomic_load(&engine->lost);
  memset(out, 0, size);
  memcpy(out, &stats, size < sizeof stats ? size : sizeof stats);
  return closed ? NEAP_CLOSED : NEAP_OK;
}

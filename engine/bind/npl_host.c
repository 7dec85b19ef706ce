#include "bind/npl_host.h"

#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/thread.h"
#include "sched/doze.h"
#include "sched/names.h"
#include "sched/output.h"
#include "script/state.h"

np_front *npl_open(void) {
  uint64_t seed = (uint64_t)np_clock_now() ^ ((uint64_t)getpid() << 32);
  np_engine *engine = np_engine_open(false, seed);
  if (engine == NULL) return NULL;
  engine->main_waiter = &engine->workers[0]->outside.waiter;
  return &engine->workers[0]->waker.front;
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

static void free_config(np_script_config *config) {
  if (config == NULL) return;
  np_free((void *)(uintptr_t)config->library);
  np_free((void *)(uintptr_t)config->path);
  np_free((void *)(uintptr_t)config->cpath);
  np_free(config);
}

int32_t npl_start(np_front *w, uint32_t workers, const char *library,
                  const char *path, const char *cpath, bool guest) {
  np_engine *engine = npl_worker(w)->engine;
  if (np_engine_is_forked(engine)) return NP_FORKED;
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

void npl_halt(np_front *w, double grace) {
  np_engine *engine = npl_worker(w)->engine;
  if (!np_engine_is_forked(engine))
    np_engine_halt(engine, np_clock_after(0, grace));
}

bool npl_halted(np_front *w) {
  np_worker *worker = npl_worker(w);
  return np_engine_is_forked(worker->engine) ||
         (worker->live_tasks == 0 && np_engine_has_halted(worker->engine));
}

int32_t npl_stop(np_front *w, double patience) {
  np_engine *engine = npl_worker(w)->engine;
  if (np_engine_is_forked(engine)) return NP_OK;
  np_status status = np_engine_stop(engine, np_clock_after(0, patience));
  if (status != NP_OK) return status; /* The threads left behind read it. */
  free_config(engine->script);
  engine->script = NULL;
  return NP_OK;
}

int32_t npl_renew(np_front *w) {
  np_engine *engine = npl_worker(w)->engine;
  np_output_free(engine);
  return np_engine_renew(&engine);
}

void npl_release(np_front *w) {
  np_engine *engine = npl_worker(w)->engine;
  np_script_config *config = engine->script;
  if (np_engine_close(engine, 0) == NP_OK) free_config(config);
}

bool npl_forked(np_front *w) {
  return np_engine_is_forked(npl_worker(w)->engine);
}

int32_t npl_next(np_front *w, double seconds) {
  np_worker *worker = npl_worker(w);
  if (np_engine_is_forked(worker->engine)) return NP_FORKED;
  np_doze_end(worker);
  int64_t until = NP_NEVER;
  if (seconds >= 0) until = np_clock_after(np_clock_now(), seconds);
  for (;;) {
    np_task *task = np_worker_next(worker, until);
    if (task == NULL) return NP_IDLE;
    if (task == &worker->outside) return NP_PUMP;
    if (task->step == NULL) return (int32_t)task->slot;
    task->step(worker, task);
    if (np_output_waits(worker->engine)) return NP_OUTPUT;
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

void npl_withdraw(np_front *w) {
  if (np_waiter_is_stale(npl_me(w)->current)) np_waiter_withdraw(npl_me(w));
}

int npl_wake_fd(np_front *w) { return np_doze_fd(npl_worker(w)); }

bool npl_doze(np_front *w) { return np_doze(npl_worker(w)); }

bool npl_print(np_front *w, const char *bytes, size_t length) {
  return np_output_put(npl_worker(w), bytes, length);
}

const char *npl_output(np_front *w) {
  np_engine *engine = npl_worker(w)->engine;
  np_free(engine->output.handed);
  np_line *line = engine->output.handed = np_output_take(engine);
  return line != NULL ? line->bytes : NULL;
}

size_t npl_output_length(np_front *w) {
  return npl_worker(w)->engine->output.handed->length;
}

double npl_output_lost(np_front *w) {
  return (double)np_output_lost(npl_worker(w)->engine);
}

np_context *npl_root_context(np_front *w) {
  return npl_worker(w)->engine->root;
}

/* Nobody is left who could wait on it. Slots name nothing any more. */
void npl_channel_kill(np_channel *channel) {
  np_channel_lock(channel);
  channel->closed = true;
  for (uint32_t i = 0; i < channel->count; i++) {
    uint32_t at = (channel->head + i) % channel->ring_size;
    if (channel->ring[at].tag != NP_SLOT) np_value_drop(&channel->ring[at]);
  }
  channel->count = 0;
  np_channel_unlock(channel);
}

int32_t npl_named_channel(np_front *w, const char *name, uint32_t capacity) {
  np_channel *channel;
  np_status status =
      np_names_open(npl_worker(w)->engine, name, capacity, &channel);
  if (status != NP_OK) return status;
  np_value_drop(&w->received);
  w->received = (np_value){.tag = NP_HANDLE, .as.object = &channel->object};
  return NP_OK;
}

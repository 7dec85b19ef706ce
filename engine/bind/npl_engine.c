#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>
#include "base/alloc.h"
#include "base/embedded.h"
#include "bind/npl_core.h"
#include "sched/quota.h"

const char *npl_cdef(void) { return np_embedded_cdef; }

uint32_t npl_workers(np_front *w) {
  return atomic_load(&npl_worker(w)->engine->thread_count);
}

uint32_t npl_number(np_front *w) { return npl_worker(w)->number; }

/* 0: all that was written to stdout went its way; 1: it did not; 2: because its
 * reader has gone. A compiled io.write does not tell a short write from a whole
 * one, and the stream's error flag stays. */
int32_t npl_output_failed(void) {
  if (!ferror(stdout)) return 0;
  struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};
  return poll(&out, 1, 0) == 1 && (out.revents & POLLERR) != 0 ? 2 : 1;
}

/* The reader of the output has gone. Our threads have SIGPIPE blocked, so that
 * deferred work runs first; then the command dies of the signal. */
void npl_broken_pipe(np_front *w) {
  np_engine *engine = npl_worker(w)->engine;
  atomic_store(&engine->dies_of, SIGPIPE);
  static const char text[] = "the reader has gone";
  np_value cause;
  if (np_value_string(&cause, text, sizeof text - 1) != NP_OK)
    cause.tag = NP_NOTHING;
  np_engine_interrupt(engine, cause);
}

uint32_t npl_cpus(void) { return np_quota_cpus(); }

/* Whether the code that runs is in no task (a host's main thread). */
bool npl_is_outside(np_front *w) { return npl_me(w)->current->pumps; }

double npl_now(np_front *w) {
  return (double)np_timers_now(npl_me(w)->timers) / 1e9;
}

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

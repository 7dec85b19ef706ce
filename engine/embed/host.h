/* host.h - what neap.h's opaque handles are.
 * A neap_engine is the host's handle on an np_engine; it outlives it, so that
 * calls after the close have something to answer. Jobs and channels hold
 * references to it. `inside` lets one caller in at a time; `lock` guards what
 * calls from any thread look at (closed, the scopes of jobs). */
#ifndef NP_EMBED_HOST_H
#define NP_EMBED_HOST_H
#include "neap.h"
#include "sched/engine.h"
#include "sched/output.h"
#include "script/state.h"

/* What workers' threads find in engine->script; the config comes first. */
typedef struct np_host_script {
  np_script_config config;
  np_event opened; /* signaled by each worker, when its state is open or not */
  _Atomic uint32_t ready, failed;
  np_lock lock; /* guards the message */
  char message[256];
} np_host_script;

struct neap_job {
  _Atomic uint32_t refs; /* the host's, and one until its event was polled */
  neap_engine *engine;
  neap_job *next, *previous; /* in engine->jobs while it runs */
  neap_job *next_event;      /* then among those whose end is to be told */
  np_context *scope;         /* what the script and all its tasks run under */
  np_outcome *outcome;       /* of the script's first task */
  np_task watcher;           /* of worker 0: waits for the scope to be empty */
  np_value result;           /* what neap.embed.job has made of it */
  _Atomic int32_t status;
  uint64_t tag;
};

struct neap_engine {
  _Atomic uint32_t refs;
  _Atomic uint32_t inside;
  np_lock lock;
  bool closed;
  np_engine *core;
  np_worker *worker; /* number 0 */
  np_host_script *script;
  double grace;
  uint32_t max_jobs, running;
  neap_job *jobs;
  neap_job *events, *last_event; /* ended; wait for poll, oldest first */
  neap_job *handed;              /* lent until the next poll */
  np_line *lines;                /* lent too */
  _Atomic uint64_t started, done, failed, canceled, waiting, lost;
};

/* NEAP_OK, and then np_host_leave ends the call; else a status. */
int np_host_enter(neap_engine *engine);
void np_host_leave(neap_engine *engine);
void np_host_retain(neap_engine *engine);
void np_host_drop(neap_engine *engine); /* A reference of the handle alone. */

/* NEAP_... for a status from within. */
int np_host_status(int32_t status);
/* Fills *error (may be NULL) and returns `status`. */
int np_host_fail(neap_error *error, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The engine has stopped: jobs that the stop has not ended end here, and all
 * events go. */
void np_jobs_abandon(neap_engine *engine);
void np_events_drop(neap_engine *engine);
void np_handed_drop(neap_engine *engine);

#endif

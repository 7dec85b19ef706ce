/* job.c - scripts: a job is a spawned task under a scope of its own, watched by
 * a task of worker 0 that waits, like any owner, until the scope is empty. */
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "embed/encoding.h"
#include "embed/host.h"
#include "sched/doze.h"

static void drop_job(neap_job *job) {
  if (atomic_fetch_sub_explicit(&job->refs, 1, memory_order_acq_rel) != 1)
    return;
  np_value_drop(&job->result);
  np_host_drop(job->engine);
  np_free(job);
}

/* --- the end
 * ------------------------------------------------------------------- */

/* neap.embed.job answers true and the results, or false and the error. */
static bool has_succeeded(const np_value *result) {
  neap_value first;
  if (result->tag != NP_ENCODED) return false;
  const uint8_t *bytes = (const uint8_t *)np_blob_bytes(result->as.blob);
  np_reader reader = {bytes, bytes + result->as.blob->length};
  return np_read_list(&reader) > 0 && np_read_value(&reader, &first) &&
         first.type == NEAP_TRUE;
}

static int32_t judge(neap_job *job) {
  np_lock_take(&job->outcome->object.lock);
  int32_t state = job->outcome->state;
  job->result = np_value_copy(&job->outcome->result);
  np_lock_leave(&job->outcome->object.lock);
  if (state == NP_TASK_SUCCEEDED && has_succeeded(&job->result))
    return NEAP_JOB_DONE;
  /* Without an answer of ours the error is some Lua object: C reads none. */
  if (state != NP_TASK_SUCCEEDED) np_value_drop(&job->result);
  return np_context_state(job->scope) != NP_OK ? NEAP_JOB_CANCELED
                                               : NEAP_JOB_FAILED;
}

static void count_end(neap_engine *engine, int32_t status) {
  _Atomic uint64_t *counter = status == NEAP_JOB_DONE     ? &engine->done
                              : status == NEAP_JOB_FAILED ? &engine->failed
                                                          : &engine->canceled;
  atomic_fetch_add(counter, 1);
  atomic_fetch_add(&engine->waiting, 1);
}

/* `left`: a thread that was left behind may still use scope and outcome. */
static void finish(neap_job *job, bool left) {
  neap_engine *engine = job->engine;
  int32_t status = judge(job);
  np_lock_take(&engine->lock); /* Nobody cancels it from here on. */
  np_context *scope = job->scope;
  job->scope = NULL;
  engine->running--;
  np_lock_leave(&engine->lock);
  if (!left) {
    np_object_release(&scope->object);
    np_object_release(&job->outcome->object);
  }
  job->outcome = NULL;
  if (job->previous != NULL)
    job->previous->next = job->next;
  else
    engine->jobs = job->next;
  if (job->next != NULL) job->next->previous = job->previous;
  if (engine->last_event != NULL)
    engine->last_event->next_event = job;
  else
    engine->events = job;
  engine->last_event = job; /* With the reference that it had for running. */
  count_end(engine, status);
  atomic_store(&job->status, status);
}

static void watch(np_worker *worker, np_task *task) {
  neap_job *job = np_container_of(task, neap_job, watcher);
  worker->waker.current = &task->waiter;
  int32_t status = np_scope_wait(&worker->waker, job->scope);
  worker->waker.current = &worker->outside.waiter;
  if (status == NP_OK) finish(job, false);
}

void np_jobs_abandon(neap_engine *engine) {
  while (engine->jobs != NULL) {
    neap_job *job = engine->jobs;
    np_context *scope = job->scope;
    np_lock_take(&scope->object.lock);
    scope->joiner = NULL;
    np_lock_leave(&scope->object.lock);
    np_waiter_take_back(&job->watcher.waiter);
    finish(job, true);
  }
}

void np_handed_drop(neap_engine *engine) {
  while (engine->handed != NULL) {
    neap_job *job = engine->handed;
    engine->handed = job->next_event;
    drop_job(job);
  }
  while (engine->lines != NULL) {
    np_line *line = engine->lines;
    engine->lines = line->next;
    np_free(line);
  }
}

void np_events_drop(neap_engine *engine) {
  np_handed_drop(engine);
  engine->handed = engine->events;
  engine->events = engine->last_event = NULL;
  atomic_store(&engine->waiting, 0);
  np_handed_drop(engine);
}

/* --- the start
 * ----------------------------------------------------------------- */

/* What neap.task unpacks where it begins a spawned task: the function (for
 * neap.embed.job: source text), the task's name (none), the arguments. */
static int encode(np_value *out, const char *name, const char *source,
                  size_t size, const neap_value *arguments, int32_t count) {
  static const neap_value no_name = {.type = NEAP_FALSE};
  np_writer writer = {0};
  np_write_list(&writer, (uint32_t)count + 3);
  np_write_string(&writer, source, size);
  np_write_value(&writer, &no_name);
  np_write_string(&writer, name, strlen(name));
  int status = NEAP_OK;
  for (int32_t i = 0; i < count; i++)
    if (!np_write_value(&writer, &arguments[i])) status = NEAP_ARGUMENT;
  if (status == NEAP_OK &&
      (writer.failed || np_value_encoded(out, (const char *)writer.bytes,
                                         writer.size, NULL, 0) != NP_OK))
    status = NEAP_MEMORY;
  np_writer_free(&writer);
  return status;
}

/* The task, not yet given to a worker; the job has scope and outcome. */
static np_task *new_task(neap_engine *engine, neap_job *job) {
  np_worker *worker = engine->worker;
  worker->waker.current = &worker->outside.waiter;
  job->scope = np_context_open(&worker->waker, engine->core->root);
  if (job->scope == NULL) return NULL;
  np_task *task = np_task_spawn_new(worker, job->scope, 0);
  if (task == NULL) {
    np_object_release(&job->scope->object);
    return NULL;
  }
  job->outcome = task->outcome;
  np_object_retain(&job->outcome->object);
  np_waiter_init(&job->watcher.waiter, &worker->waker);
  job->watcher.step = watch;
  job->watcher.options = NP_TASK_BEGUN;
  return task;
}

static void add_running(neap_engine *engine, neap_job *job) {
  job->next = engine->jobs;
  if (job->next != NULL) job->next->previous = job;
  engine->jobs = job;
  np_lock_take(&engine->lock);
  engine->running++;
  np_lock_leave(&engine->lock);
  atomic_fetch_add(&engine->started, 1);
}

/* Takes `payload` over. */
static int start(neap_engine *engine, np_value payload, uint64_t tag,
                 neap_job **out) {
  neap_job *job = np_alloc_zero(sizeof *job);
  np_task *task = job != NULL ? new_task(engine, job) : NULL;
  if (task == NULL) {
    np_free(job);
    np_value_drop(&payload);
    return NEAP_MEMORY;
  }
  atomic_init(&job->refs, out != NULL ? 2 : 1);
  atomic_init(&job->status, NEAP_JOB_RUNNING);
  job->engine = engine;
  job->tag = tag;
  np_host_retain(engine);
  task->payload = payload;
  add_running(engine, job);
  if (out != NULL) *out = job;
  np_status status = np_engine_spawn(engine->worker, task, 0);
  if (status != NP_OK) /* Full, or no memory: it ends at once, as canceled. */
    np_task_end(engine->worker, task, NP_TASK_CANCELED,
                (np_value){.tag = NP_NOTHING});
  watch(engine->worker, &job->watcher);
  return NEAP_OK;
}

static bool is_sane(const char *source, size_t size,
                    const neap_value *arguments, int32_t count) {
  return (source != NULL || size == 0) && count >= 0 && count <= 200 &&
         (arguments != NULL || count == 0);
}

int neap_script_start(neap_engine *engine, const char *name, const char *source,
                      size_t size, const neap_value *arguments, int32_t count,
                      uint64_t tag, neap_job **job, neap_error *error) {
  if (job != NULL) *job = NULL;
  if (!is_sane(source, size, arguments, count))
    return np_host_fail(error, NEAP_ARGUMENT,
                        "source or arguments are NULL, or over 200 arguments");
  int status = np_host_enter(engine);
  if (status != NEAP_OK)
    return np_host_fail(error, status, "cannot start a script: %s",
                        neap_status_name(status));
  np_doze_end(engine->worker);
  np_value payload;
  if (engine->running >= engine->max_jobs)
    status = np_host_fail(error, NEAP_LIMIT, "%u scripts run already",
                          (unsigned)engine->max_jobs);
  else
    status = encode(&payload, name != NULL ? name : "=script", source, size,
                    arguments, count);
  if (status == NEAP_ARGUMENT)
    np_host_fail(error, status, "an argument is of no type that travels");
  if (status == NEAP_OK) status = start(engine, payload, tag, job);
  if (status == NEAP_MEMORY)
    np_host_fail(error, status, "not enough memory for a script");
  np_doze(engine->worker);
  np_host_leave(engine);
  return status;
}

/* --- from any thread
 * ------------------------------------------------------------ */

int neap_job_status(const neap_job *job) {
  return job != NULL ? atomic_load(&job->status) : NEAP_CLOSED;
}

int neap_job_cancel(neap_job *job, const char *why) {
  if (job == NULL) return NEAP_CLOSED;
  neap_engine *engine = job->engine;
  if (why == NULL) why = "canceled by the host";
  np_value cause;
  if (np_value_string(&cause, why, strlen(why)) != NP_OK)
    cause.tag = NP_NOTHING;
  np_lock_take(&engine->lock);
  int status = engine->closed ? NEAP_CLOSED : NEAP_OK;
  if (status == NEAP_OK && job->scope != NULL)
    np_context_end(NULL, job->scope, NP_CANCELED, cause);
  else
    np_value_drop(&cause);
  np_lock_leave(&engine->lock);
  return status;
}

void neap_job_release(neap_job *job) {
  if (job != NULL) drop_job(job);
}

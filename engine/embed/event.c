/* event.c - what the host polls, and how it reads it. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "embed/encoding.h"
#include "embed/host.h"
#include "sched/doze.h"

/* --- poll
 * --------------------------------------------------------------------- */

static void run_watchers(neap_engine *engine) {
  np_waker *me = &engine->worker->waker;
  /* With workers = 0 scripts run here too, and those are for tick. */
  if (engine->core->thread_count == 0) return;
  if (me->ready_first == NULL &&
      atomic_load_explicit(&me->mailbox, memory_order_acquire) == NULL)
    return;
  np_task *task;
  np_doze_end(engine->worker);
  while ((task = np_worker_next(engine->worker, 0)) != NULL)
    if (task != &engine->worker->outside) np_worker_step(engine->worker, task);
}

static void fill_end(neap_engine *engine, neap_event *event) {
  neap_job *job = engine->events;
  engine->events = job->next_event;
  if (engine->events == NULL) engine->last_event = NULL;
  job->next_event = engine->handed;
  engine->handed = job;
  atomic_fetch_sub(&engine->waiting, 1);
  *event = (neap_event){.type = NEAP_EVENT_FAILED, .job = job, .tag = job->tag};
  if (atomic_load(&job->status) == NEAP_JOB_DONE) event->type = NEAP_EVENT_DONE;
  if (job->result.tag == NP_ENCODED) {
    event->data = np_blob_bytes(job->result.as.blob);
    event->size = (size_t)job->result.as.blob->length;
  }
}

static bool fill_line(neap_engine *engine, neap_event *event) {
  np_line *line = np_output_take(engine->core);
  if (line == NULL) return false;
  line->next = engine->lines;
  engine->lines = line;
  *event = (neap_event){.type = NEAP_EVENT_OUTPUT,
                        .worker = (int32_t)line->worker,
                        .data = line->bytes,
                        .size = line->length};
  return true;
}

int neap_engine_poll(neap_engine *engine, neap_event *events, int32_t max) {
  if (events == NULL || max < 0) return NEAP_ARGUMENT;
  int status = np_host_enter(engine);
  if (status != NEAP_OK) return status;
  np_handed_drop(engine);
  run_watchers(engine);
  int32_t count = 0;
  /* Lines first: a script's last line comes before its end. */
  while (count < max && fill_line(engine, &events[count])) count++;
  while (count < max && engine->events != NULL)
    fill_end(engine, &events[count++]);
  atomic_fetch_add(&engine->lost, np_output_lost(engine->core));
  np_doze(engine->worker);
  np_host_leave(engine);
  return count;
}

/* --- reading
 * ------------------------------------------------------------------- */

static np_reader read_event(const neap_event *event, int32_t *count) {
  np_reader reader = {NULL, NULL};
  *count = -1;
  if (event == NULL || event->data == NULL) return reader;
  reader.at = event->data;
  reader.end = reader.at + event->size;
  *count = np_read_list(&reader);
  neap_value verdict;
  if (*count > 0 && np_read_value(&reader, &verdict)) --*count;
  return reader;
}

int neap_event_values(const neap_event *event, neap_value *values,
                      int32_t max) {
  int32_t count;
  if (event == NULL || event->type != NEAP_EVENT_DONE) return 0;
  np_reader reader = read_event(event, &count);
  for (int32_t i = 0; i < count; i++) {
    neap_value value;
    if (!np_read_value(&reader, &value)) return i;
    if (i < max) values[i] = value;
  }
  return count > 0 ? count : 0;
}

static void read_text(np_reader *reader, char *out, size_t size) {
  neap_value value;
  if (!np_read_value(reader, &value) || value.type != NEAP_STRING) return;
  snprintf(out, size, "%.*s", (int)value.size, value.data);
}

int neap_event_error(const neap_event *event, neap_error *error) {
  if (event == NULL || error == NULL || event->type != NEAP_EVENT_FAILED)
    return NEAP_ARGUMENT;
  memset(error, 0, sizeof *error);
  int32_t count;
  np_reader reader = read_event(event, &count);
  if (count <= 0) {
    bool canceled = neap_job_status(event->job) == NEAP_JOB_CANCELED;
    snprintf(error->kind, sizeof error->kind, canceled ? "canceled" : "memory");
    snprintf(error->message, sizeof error->message,
             canceled ? "canceled before it began"
                      : "not enough memory to run it");
    return NEAP_OK;
  }
  read_text(&reader, error->kind, sizeof error->kind);
  read_text(&reader, error->message, sizeof error->message);
  read_text(&reader, error->traceback, sizeof error->traceback);
  read_text(&reader, error->file, sizeof error->file);
  neap_value line;
  if (np_read_value(&reader, &line) && line.type == NEAP_NUMBER)
    error->line = (int32_t)line.number;
  return NEAP_OK;
}

int neap_table_next(const neap_value *table, uint64_t *position,
                    neap_value *key, neap_value *value) {
  if (table == NULL || position == NULL || key == NULL || value == NULL ||
      table->type != NEAP_TABLE)
    return NEAP_ARGUMENT;
  const uint8_t *start = (const uint8_t *)table->data;
  np_reader reader = {start, start + table->size};
  uint32_t first, list, pairs;
  if (!np_read_table(&reader, &first, &list, &pairs)) return NEAP_AGAIN;
  /* The index of the entry in the upper half, where it starts in the lower:
   * each step goes on where the last one ended. */
  uint64_t index = *position >> 32;
  if (index != 0) reader.at = start + (uint32_t)*position;
  if (index >= (uint64_t)list + pairs) return NEAP_AGAIN;
  if (index < list)
    *key = (neap_value){.type = NEAP_NUMBER, .number = (double)(first + index)};
  else if (!np_read_value(&reader, key))
    return NEAP_AGAIN;
  if (!np_read_value(&reader, value)) return NEAP_AGAIN;
  *position = (index + 1) << 32 | (uint64_t)(reader.at - start);
  return NEAP_OK;
}

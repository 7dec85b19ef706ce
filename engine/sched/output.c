#include "sched/output.h"

#include <string.h>

#include "base/alloc.h"

/* Comes up in worker 0's loop like a task; its host looks at the lines. */
static void arrive(np_worker *worker, np_task *task) {
  np_output *output = np_container_of(task, np_output, errand);
  worker->waker.current = &worker->outside.waiter;
  np_lock_take(&output->lock);
  output->posted = false;
  np_lock_leave(&output->lock);
}

void np_output_init(np_engine *engine) {
  np_output *output = &engine->output;
  np_lock_init(&output->lock);
  np_waiter_init(&output->errand.waiter, &engine->workers[0]->waker);
  output->errand.step = arrive;
  output->errand.options = NP_TASK_BEGUN;
}

void np_output_free(np_engine *engine) {
  np_line *line;
  while ((line = np_output_take(engine)) != NULL) np_free(line);
  np_free(engine->output.handed);
  engine->output.handed = NULL;
}

bool np_output_put(np_worker *from, const char *bytes, size_t length) {
  np_engine *engine = from->engine;
  np_output *output = &engine->output;
  np_line *line = np_alloc(sizeof *line + length + 1);
  if (line != NULL) {
    *line = (np_line){.length = length, .worker = from->number};
    memcpy(line->bytes, bytes, length);
    line->bytes[length] = '\0';
  }
  np_lock_take(&output->lock);
  bool fits = line != NULL && output->size + length <= NP_OUTPUT_MAX;
  if (fits) {
    *(output->last != NULL ? &output->last->next : &output->first) = line;
    output->last = line;
    output->size += length;
  } else {
    output->lost++;
  }
  bool post = !output->posted;
  output->posted = true;
  np_lock_leave(&output->lock);
  if (!fits) np_free(line);
  if (post) np_wake(NULL, &output->errand.waiter);
  return fits;
}

bool np_output_waits(np_engine *engine) {
  np_output *output = &engine->output;
  np_lock_take(&output->lock);
  bool waits = output->first != NULL || output->lost != 0;
  np_lock_leave(&output->lock);
  return waits;
}

np_line *np_output_take(np_engine *engine) {
  np_output *output = &engine->output;
  np_lock_take(&output->lock);
  np_line *line = output->first;
  if (line != NULL) {
    output->first = line->next;
    if (output->first == NULL) output->last = NULL;
    output->size -= line->length;
  }
  np_lock_leave(&output->lock);
  return line;
}

uint64_t np_output_lost(np_engine *engine) {
  np_output *output = &engine->output;
  np_lock_take(&output->lock);
  uint64_t lost = output->lost;
  output->lost = 0;
  np_lock_leave(&output->lock);
  return lost;
}

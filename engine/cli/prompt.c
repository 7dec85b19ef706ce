#include "cli/prompt.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/thread.h"
#include "cli/signals.h"
#include "cli/terminal.h"
#include "csp/channel.h"
#include "sched/engine.h"

/* The executable's own; there is one terminal. */
static struct prompt {
  np_engine *engine;
  np_terminal *terminal;
  np_channel *answers; /* a reference */
  char *history;       /* its path; NULL: none is kept */
  pthread_t thread;
  np_event asked;
  np_lock lock; /* guards `question` and `ends` */
  char question[32];
  bool ends;
  np_waker waker; /* the terminal thread's, for its sends */
  np_waiter self;
} prompt;

/* --- the terminal thread
 * ---------------------------------------------------------- */

static void answer(np_value value) {
  if (np_channel_send(&prompt.waker, prompt.answers, &value, false) != NP_OK)
    np_value_drop(&value); /* Closed: nobody listens any more. */
}

static void answer_line(const wchar_t *line) {
  np_value value = {.tag = NP_TRUE}; /* Without memory it is dropped. */
  size_t size = wcstombs(NULL, line, 0);
  char *bytes = size != (size_t)-1 ? np_alloc(size + 1) : NULL;
  if (bytes != NULL) {
    wcstombs(bytes, line, size + 1);
    while (size != 0 && (bytes[size - 1] == '\n' || bytes[size - 1] == '\r'))
      size--;
    if (np_value_string(&value, bytes, size) != NP_OK) value.tag = NP_TRUE;
  }
  np_free(bytes);
  answer(value);
}

/* False when the prompt ends. */
static bool next_question(char *question) {
  for (;;) {
    np_lock_take(&prompt.lock);
    bool ends = prompt.ends, asked = prompt.question[0] != '\0';
    memcpy(question, prompt.question, sizeof prompt.question);
    prompt.question[0] = '\0';
    np_lock_leave(&prompt.lock);
    if (ends) return false;
    if (asked) return true;
    np_event_wait(&prompt.asked, -1, NP_NEVER);
    np_event_clear(&prompt.asked);
  }
}

static void *edit(void *unused) {
  (void)unused;
  char question[sizeof prompt.question];
  while (next_question(question)) {
    const wchar_t *line;
    switch (np_terminal_read(prompt.terminal, question, &line)) {
      case NP_LINE_ENTERED:
        answer_line(line);
        break;
      case NP_LINE_DROPPED:
        answer((np_value){.tag = NP_TRUE});
        break;
      default:
        answer((np_value){.tag = NP_FALSE});
    }
  }
  return NULL;
}

/* --- worker 0
 * ------------------------------------------------------------------------ */

static np_status open_parts(const char *history) {
  np_lock_init(&prompt.lock);
  if (history != NULL) {
    prompt.history = np_alloc(strlen(history) + 1);
    if (prompt.history == NULL) return NP_NOMEM;
    memcpy(prompt.history, history, strlen(history) + 1);
    np_terminal_load(prompt.terminal, history);
  }
  prompt.answers = np_channel_open(1, NP_BLOCK, true);
  if (prompt.answers == NULL) return NP_NOMEM;
  if (np_event_open(&prompt.asked) != NP_OK) return NP_IO;
  np_status status = np_waker_init(&prompt.waker, 1);
  if (status != NP_OK) return status;
  prompt.waker.alone = false;
  np_waiter_init(&prompt.self, &prompt.waker);
  prompt.waker.current = &prompt.self;
  return np_thread_start(&prompt.thread, "neap-terminal", edit, NULL);
}

int32_t npl_prompt_open(np_front *w, const char *history) {
  np_worker *worker = (np_worker *)(void *)w;
  np_status status = np_terminal_open(&prompt.terminal);
  if (status != NP_OK) return status;
  prompt.engine = worker->engine;
  /* The terminal thread reaches into this worker, and may wake it. */
  worker->waker.alone = false;
  atomic_fetch_add(&prompt.engine->outsiders, 1);
  status = open_parts(history);
  if (status != NP_OK) return status;
  np_signals_prompt(worker);
  np_value_drop(&w->received);
  np_object_retain(&prompt.answers->object);
  w->received =
      (np_value){.tag = NP_HANDLE, .as.object = &prompt.answers->object};
  return NP_OK;
}

void npl_prompt_ask(const char *question) {
  np_lock_take(&prompt.lock);
  strncpy(prompt.question, question, sizeof prompt.question - 1);
  np_lock_leave(&prompt.lock);
  np_event_signal(&prompt.asked);
}

void npl_prompt_remember(const char *entry) {
  np_terminal_remember(prompt.terminal, entry);
}

void npl_prompt_aim(np_outcome *outcome) { np_signals_aim(outcome); }

uint32_t npl_prompt_presses(void) { return np_signals_presses(); }

void npl_prompt_close(void) {
  np_signals_aim(NULL);
  np_lock_take(&prompt.lock);
  prompt.ends = true;
  np_lock_leave(&prompt.lock);
  np_terminal_stop(prompt.terminal);
  np_event_signal(&prompt.asked);
  pthread_join(prompt.thread, NULL);
  if (prompt.history != NULL) np_terminal_save(prompt.terminal, prompt.history);
  np_terminal_close(prompt.terminal);
  np_object_release(&prompt.answers->object);
  np_event_close(&prompt.asked);
  np_waker_free(&prompt.waker);
  np_free(prompt.history);
  atomic_fetch_sub(&prompt.engine->outsiders, 1);
}

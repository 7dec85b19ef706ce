#include "cli/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/lock.h"
#include "base/thread.h"
#include "script/main.h"

/* A handler can reach static variables only. This is the executable's own. */
static volatile sig_atomic_t received;
static int pipe_ends[2] = {-1, -1};
/* Of the prompt: the worker that runs its lines, how often Ctrl-C was pressed
 * since the line that runs began, and that line's task (under the lock). */
static np_worker *volatile prompt_worker;
static volatile sig_atomic_t presses;
static np_lock aim_lock;
static np_outcome *aim;

static void handle(int signal) {
  int saved = errno;
  bool at_prompt = signal == SIGINT && prompt_worker != NULL;
  if (at_prompt && ++presses > 1) {
    np_script_interrupt(prompt_worker); /* It did not listen to the first. */
  } else {
    if (!at_prompt && received != 0) np_signals_die(signal); /* The second. */
    if (!at_prompt) received = signal;
    char byte = (char)signal;
    ssize_t written = write(pipe_ends[1], &byte, 1);
    (void)written;
  }
  errno = saved;
}

static np_value cause_of(void) {
  static const char text[] = "interrupt signal received";
  np_value cause;
  if (np_value_string(&cause, text, sizeof text - 1) != NP_OK)
    cause.tag = NP_NOTHING;
  return cause;
}

static void cancel_line(void) {
  np_lock_take(&aim_lock);
  np_outcome *outcome = aim;
  if (outcome != NULL) np_object_retain(&outcome->object);
  np_lock_leave(&aim_lock);
  if (outcome == NULL) return;
  np_outcome_cancel(NULL, outcome, cause_of());
  np_object_release(&outcome->object);
}

/* Canceling takes locks, which a handler must not: this thread does it. */
static void *cancel_on_signal(void *argument) {
  np_engine *engine = argument;
  for (;;) {
    char byte;
    ssize_t got = read(pipe_ends[0], &byte, 1);
    if (got < 0 && errno == EINTR) continue;
    if (got != 1) return NULL;
    if (byte == SIGINT && prompt_worker != NULL)
      cancel_line();
    else
      np_engine_interrupt(engine, cause_of());
  }
}

void np_signals_prompt(np_worker *worker) { prompt_worker = worker; }

void np_signals_aim(np_outcome *outcome) {
  np_lock_take(&aim_lock);
  np_outcome *before = aim;
  aim = outcome;
  if (outcome != NULL) np_object_retain(&outcome->object);
  presses = 0;
  np_lock_leave(&aim_lock);
  if (before != NULL) np_object_release(&before->object);
  if (prompt_worker != NULL) np_script_calm(prompt_worker);
}

uint32_t np_signals_presses(void) { return (uint32_t)presses; }

np_status np_signals_open(np_engine *engine) {
  if (pipe2(pipe_ends, O_CLOEXEC) != 0) return NP_IO;
  pthread_t thread;
  np_status status =
      np_thread_start(&thread, "neap-signals", cancel_on_signal, engine);
  if (status != NP_OK) return status;
  pthread_detach(thread);

  static const int signals[] = {SIGINT, SIGTERM};
  for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
    struct sigaction before,
        action = {.sa_handler = handle, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    /* A shell that starts us in the background ignores SIGINT for us. */
    if (sigaction(signals[i], NULL, &before) == 0 &&
        before.sa_handler != SIG_IGN)
      sigaction(signals[i], &action, NULL);
  }
  return NP_OK;
}

int np_signals_received(void) { return received; }

void np_signals_die(int signal) {
  struct sigaction action = {.sa_handler = SIG_DFL};
  sigemptyset(&action.sa_mask);
  sigaction(signal, &action, NULL);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  pthread_sigmask(SIG_UNBLOCK, &set, NULL);
  raise(signal);
  _exit(128 + signal);
}

#include "cli/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/thread.h"

/* A handler can reach static variables only. This is the executable's own. */
static volatile sig_atomic_t received;
static int pipe_ends[2] = {-1, -1};

static void handle(int signal) {
  int saved = errno;
  if (received != 0) np_signals_die(signal); /* The second one. */
  received = signal;
  char byte = (char)signal;
  ssize_t written = write(pipe_ends[1], &byte, 1);
  (void)written;
  errno = saved;
}

/* Canceling takes locks, which a handler must not: this thread does it. */
static void *cancel_on_signal(void *argument) {
  np_engine *engine = argument;
  char byte;
  ssize_t got;
  do {
    got = read(pipe_ends[0], &byte, 1);
  } while (got < 0 && errno == EINTR);
  if (got == 1) {
    static const char text[] = "interrupt signal received";
    np_value cause;
    if (np_value_string(&cause, text, sizeof text - 1) != NP_OK)
      cause.tag = NP_NOTHING;
    np_engine_interrupt(engine, cause);
  }
  return NULL;
}

np_status np_signals_open(np_engine *engine) {
  if (pipe2(pipe_ends, O_CLOEXEC) != 0) return NP_IO;
  pthread_t thread;
  np_status status =
      np_thread_start(&thread, "neap-signals", cancel_on_signal, engine);
  if (status != NP_OK) return status;
  pthread_detach(thread);

  static const int signals[] = {SIGINT, SIGTERM};
  for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
    struct sigaction before, action = {.sa_handler = handle,
                                       .sa_flags = SA_RESTART};
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

#include "base/thread.h"

#include <sched.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

/* Crash reporters and profilers of the host go on working in our threads. */
static void mask_of_workers(sigset_t *set) {
  static const int open_signals[] = {SIGSEGV, SIGBUS,  SIGFPE, SIGILL,
                                     SIGTRAP, SIGABRT, SIGSYS, SIGPROF};
  sigfillset(set);
  for (size_t i = 0; i < sizeof open_signals / sizeof *open_signals; i++)
    sigdelset(set, open_signals[i]);
}

np_status np_thread_start(pthread_t *out, const char *name,
                          void *(*run)(void *), void *argument) {
  pthread_attr_t attributes;
  if (pthread_attr_init(&attributes) != 0) return NP_NOMEM;
  pthread_attr_setstacksize(&attributes, NP_THREAD_STACK);

  sigset_t ours, before;
  mask_of_workers(&ours);
  pthread_sigmask(SIG_SETMASK, &ours, &before); /* The new thread inherits. */
  int failed = pthread_create(out, &attributes, run, argument);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attributes);
  if (failed != 0) return NP_NOMEM;
#ifdef __linux__
  pthread_setname_np(*out, name); /* For people with a debugger; may fail. */
#else
  (void)name;
#endif
  return NP_OK;
}

int np_thread_cpus(void) {
#ifdef __linux__
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
    return CPU_COUNT(&set);
#endif
  long count = sysconf(_SC_NPROCESSORS_ONLN);
  return count > 0 ? (int)count : 1;
}

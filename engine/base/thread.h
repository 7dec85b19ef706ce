/* thread.h - the engine's own threads: named, with their signals blocked, so
 * that a host's signals reach the host's threads only. */
#ifndef NP_BASE_THREAD_H
#define NP_BASE_THREAD_H
#include <pthread.h>
#include "base/status.h"

/* LuaJIT does not guard the C stack; nested callbacks need this much. Pages
 * that nobody touches cost nothing. */
#define NP_THREAD_STACK ((size_t)8 << 20)

np_status np_thread_start(pthread_t *out, const char *name,
                          void *(*run)(void *), void *argument);
/* How many CPUs this thread may use by its affinity mask; at least 1. */
int np_thread_cpus(void);

#endif

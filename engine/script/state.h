/* state.h - the lua_States that are ours: one a worker, and the command's.
 * Each loads the Lua face of Neap from the library itself, so that what runs
 * in a worker is what the library was built with. Only the worker's thread
 * touches it. The scheduler's loop for these states is np_worker_loop: a Lua
 * task's step resumes its coroutine. */
#ifndef NP_SCRIPT_STATE_H
#define NP_SCRIPT_STATE_H
#include "sched/engine.h"

struct lua_State;

typedef struct np_script_config {
  const char *library; /* path for ffi.load; NULL: symbols of the executable */
  const char *path, *cpath; /* package.path and cpath; NULL: as built */
  bool guest;               /* inside a host: no C modules, no os.exit */
} np_script_config;

/* Opens the state of `worker` (worker->state) and loads "neap.own" into it.
 * NP_NOMEM, or NP_STATE with the reason in `error` (of `room` bytes). */
np_status np_script_open(np_worker *worker, const np_script_config *config,
                         char *error, size_t room);
void np_script_close(np_worker *worker);
struct lua_State *np_script_lua(np_worker *worker);

/* The body of a worker's thread; its engine's `script` is an np_script_config
 * that outlives the threads. */
void np_script_thread(np_worker *worker);

#endif

/* npl_host.h - an engine inside a host, as Lua sees it: opening and closing,
 * the turns of its loop, what the host sleeps on, what workers print, channels
 * by name. As in npl_core.h: the caller's own worker comes first, nothing calls
 * into Lua. */
#ifndef NP_BIND_NPL_HOST_H
#define NP_BIND_NPL_HOST_H
#include "bind/npl_core.h"

#pragma GCC visibility push(default)
/* cdef:begin */
np_front *npl_open(void);
int32_t npl_start(np_front *w, uint32_t workers, const char *library,
                  const char *path, const char *cpath, bool guest);
/* Closing: halt; run the loop until npl_halted or for as long as there is
 * patience; stop (NP_TIMEOUT: a thread was left behind); renew. The pointer is
 * then the worker of a fresh engine. */
void npl_halt(np_front *w, double grace);
bool npl_halted(np_front *w);
int32_t npl_stop(np_front *w, double patience);
int32_t npl_renew(np_front *w);
/* The end of it all, for a finaliser: any order, handles may come after it. */
void npl_release(np_front *w);
bool npl_forked(np_front *w);

/* The loop of a host's state: the slot of the next task, NP_PUMP when what the
 * outside waits for has come, NP_IDLE after `seconds` with nothing to run,
 * NP_OUTPUT when there are lines to take, NP_FORKED. */
int32_t npl_next(np_front *w, double seconds);
double npl_next_timer(np_front *w);
/* Undoes the wait of the outside, which nobody will end. */
void npl_withdraw(np_front *w);
/* See sched/doze.h. The descriptor, or -1; whether there is work already. */
int npl_wake_fd(np_front *w);
bool npl_doze(np_front *w);

/* What workers of a guest print: from them, and to the host. A line is valid
 * until the next call; NULL when there is none. */
bool npl_print(np_front *w, const char *bytes, size_t length);
const char *npl_output(np_front *w);
size_t npl_output_length(np_front *w);
double npl_output_lost(np_front *w);

/* The root, which lives as long as the worker: no reference is given. */
np_context *npl_root_context(np_front *w);
/* A handle of an engine that has ended: closes it, forgets what is in it. */
void npl_channel_kill(np_channel *channel);
/* NP_OK and the channel in front.received; else as np_names_open. */
int32_t npl_named_channel(np_front *w, const char *name, uint32_t capacity);
/* cdef:end */
#pragma GCC visibility pop

#endif

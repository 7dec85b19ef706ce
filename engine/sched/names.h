/* names.h - channels that a host and its scripts know by name. Any thread. */
#ifndef NP_SCHED_NAMES_H
#define NP_SCHED_NAMES_H
#include "csp/channel.h"
#include "sched/engine.h"

#define NP_NAME_MAX 64    /* bytes, with the zero */
#define NP_NAMES_MAX 1024 /* channels an engine */

/* The channel `name`, opened with `capacity` if there is none yet; a reference
 * for the caller. NP_NOMEM, NP_LIMIT, or NP_RANGE (the name is empty or too
 * long). What is there keeps its capacity. */
np_status np_names_open(np_engine *engine, const char *name, uint32_t capacity,
                        np_channel **out);
void np_names_free(np_engine *engine); /* Gives all references up. */

#endif

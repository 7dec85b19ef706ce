/* output.h - what workers print inside a host: whole lines on their way to the
 * host's thread, which hands them out with its next turn. The library itself
 * prints nothing. Any thread puts; worker 0's thread takes.
 * Bounded: a host that never looks loses lines, not memory, and is told how
 * many. */
#ifndef NP_SCHED_OUTPUT_H
#define NP_SCHED_OUTPUT_H
#include "sched/engine.h"

#define NP_OUTPUT_MAX ((size_t)1 << 20) /* bytes that may wait */

typedef struct np_line {
  struct np_line *next;
  size_t length;
  uint32_t worker;
  char bytes[]; /* and a zero */
} np_line;

void np_output_init(np_engine *engine);
void np_output_free(np_engine *engine); /* With what is left in it. */

/* False: there was no room, or no memory; the line is counted as lost. */
bool np_output_put(np_worker *from, const char *bytes, size_t length);
bool np_output_waits(np_engine *engine);
/* The oldest, now the caller's (np_free); NULL when there is none. */
np_line *np_output_take(np_engine *engine);
/* Lines lost since the last call. */
uint64_t np_output_lost(np_engine *engine);

#endif

/* event.h - wakes a sleeping thread: one descriptor that any thread can make
 * readable and that its owner sleeps on, beside others if need be. */
#ifndef NP_BASE_EVENT_H
#define NP_BASE_EVENT_H
#include <stdint.h>
#include "base/status.h"

typedef struct np_event {
  int fd;
} np_event;

np_status np_event_open(np_event *event);
void np_event_close(np_event *event);
/* Any thread, also from a signal handler. */
void np_event_signal(np_event *event);
/* Owner only: forget signals given so far. */
void np_event_clear(np_event *event);
/* Owner only: sleeps until signaled, `other_fd` (or -1) is readable, or `until`
 * (np_clock time; NP_NEVER sleeps for ever). True if a descriptor is ready;
 * false after the time or a signal handler ran. */
int np_event_wait(np_event *event, int other_fd, int64_t until);

#endif

/* alarm.h - one descriptor that is readable when a thread has something to do:
 * its event was signaled, or a time has come. An eventfd alone says nothing of
 * timers, so a host's poll would sleep through them: a timerfd stands beside
 * it, and an epoll descriptor covers both.
 * Owner thread only, but for what the event allows. */
#ifndef NP_BASE_ALARM_H
#define NP_BASE_ALARM_H
#include <stdint.h>

#include "base/event.h"

typedef struct np_alarm {
  int timer_fd, all_fd;
  int64_t set_to; /* np_clock time; NP_NEVER: not set */
} np_alarm;

/* NULL when there is no memory or no descriptor. The event outlives it. */
np_alarm *np_alarm_open(const np_event *event);
void np_alarm_close(np_alarm *alarm); /* NULL is fine. */
/* Readable from `when` on; NP_NEVER takes that back. */
void np_alarm_set(np_alarm *alarm, int64_t when);
/* Sleeps until the descriptor is readable or `until` has come. 1, 0, or -1
 * after a signal handler ran. */
int np_alarm_wait(np_alarm *alarm, int64_t until);

/* None of our descriptors sits in place of a standard stream, which a host may
 * have closed: gives another above those, and closes `fd`. -1 stays -1. */
int np_fd_above_streams(int fd);

#endif

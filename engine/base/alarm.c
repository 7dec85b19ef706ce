#include "base/alarm.h"

#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"

int np_fd_above_streams(int fd) {
  if (fd < 0 || fd > 2) return fd;
  int moved = fcntl(fd, F_DUPFD_CLOEXEC, 3);
  close(fd);
  return moved;
}

static bool watch(np_alarm *alarm, int fd) {
  struct epoll_event wanted = {.events = EPOLLIN, .data.fd = fd};
  return epoll_ctl(alarm->all_fd, EPOLL_CTL_ADD, fd, &wanted) == 0;
}

np_alarm *np_alarm_open(const np_event *event) {
  np_alarm *alarm = np_alloc_zero(sizeof *alarm);
  if (alarm == NULL) return NULL;
  alarm->set_to = NP_NEVER;
  alarm->timer_fd = np_fd_above_streams(
      timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
  alarm->all_fd = np_fd_above_streams(epoll_create1(EPOLL_CLOEXEC));
  if (alarm->timer_fd >= 0 && alarm->all_fd >= 0 && watch(alarm, event->fd) &&
      watch(alarm, alarm->timer_fd))
    return alarm;
  np_alarm_close(alarm);
  return NULL;
}

void np_alarm_close(np_alarm *alarm) {
  if (alarm == NULL) return;
  if (alarm->timer_fd >= 0) close(alarm->timer_fd);
  if (alarm->all_fd >= 0) close(alarm->all_fd);
  np_free(alarm);
}

void np_alarm_set(np_alarm *alarm, int64_t when) {
  if (alarm->set_to == when) return; /* Idle hosts ask at each frame. */
  struct itimerspec time = {0};
  if (when != NP_NEVER) {
    if (when <= 0) when = 1; /* All zero would mean "never". */
    time.it_value.tv_sec = (time_t)(when / NP_SECOND);
    time.it_value.tv_nsec = (long)(when % NP_SECOND);
  }
  /* Setting it also forgets a time that has come. */
  timerfd_settime(alarm->timer_fd, TFD_TIMER_ABSTIME, &time, NULL);
  alarm->set_to = when;
}

int np_alarm_wait(np_alarm *alarm, int64_t until) {
  struct pollfd fd = {.fd = alarm->all_fd, .events = POLLIN};
  struct timespec span, *timeout = NULL;
  if (until != NP_NEVER) {
    int64_t left = until - np_clock_now();
    if (left < 0) left = 0;
    span.tv_sec = (time_t)(left / NP_SECOND);
    span.tv_nsec = (long)(left % NP_SECOND);
    timeout = &span;
  }
  return ppoll(&fd, 1, timeout, NULL);
}

#include "base/event.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"

np_status np_event_open(np_event *event) {
  int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (fd >= 0 && fd <= 2) {
    /* A host may run with standard streams closed; never sit in their place. */
    int moved = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    close(fd);
    fd = moved;
  }
  event->fd = fd;
  return fd >= 0 ? NP_OK : NP_IO;
}

void np_event_close(np_event *event) {
  if (event->fd >= 0) close(event->fd);
  event->fd = -1;
}

void np_event_signal(np_event *event) {
  uint64_t one = 1;
  int saved = errno;
  /* Fails only when the counter is full, and then it is readable already. */
  ssize_t written = write(event->fd, &one, sizeof one);
  (void)written;
  errno = saved;
}

void np_event_clear(np_event *event) {
  uint64_t count;
  ssize_t got = read(event->fd, &count, sizeof count);
  (void)got;
}

int np_event_wait(np_event *event, int other_fd, int64_t until) {
  struct pollfd fds[2] = {{.fd = event->fd, .events = POLLIN},
                          {.fd = other_fd, .events = POLLIN}};
  struct timespec span, *timeout = NULL;
  if (until != NP_NEVER) {
    int64_t left = until - np_clock_now();
    if (left < 0) left = 0;
    span.tv_sec = (time_t)(left / NP_SECOND);
    span.tv_nsec = (long)(left % NP_SECOND);
    timeout = &span;
  }
  return ppoll(fds, other_fd >= 0 ? 2 : 1, timeout, NULL) > 0;
}

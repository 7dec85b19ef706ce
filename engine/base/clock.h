/* clock.h - monotonic time in nanoseconds. Durations come from Lua as seconds
 * in a double; the largest ones mean "never" instead of overflowing. */
#ifndef NP_BASE_CLOCK_H
#define NP_BASE_CLOCK_H
#include <stdint.h>
#include <time.h>

#define NP_NEVER INT64_MAX
#define NP_SECOND INT64_C(1000000000)

static inline int64_t np_clock_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now); /* Cannot fail for this clock. */
  return (int64_t)now.tv_sec * NP_SECOND + now.tv_nsec;
}

/* `seconds` from `now`, rounded up: a wait is never shorter than asked. */
static inline int64_t np_clock_after(int64_t now, double seconds) {
  if (!(seconds > 0)) return now;
  double nanoseconds = seconds * 1e9;
  if (nanoseconds >= 9e18) return NP_NEVER;
  int64_t span = (int64_t)nanoseconds;
  if ((double)span < nanoseconds) span++;
  return span > NP_NEVER - now ? NP_NEVER : now + span;
}

#endif

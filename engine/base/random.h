/* random.h - a small fast generator (xorshift64*), one a worker or a bubble.
 * Not for secrets. The same seed gives the same choices. */
#ifndef NP_BASE_RANDOM_H
#define NP_BASE_RANDOM_H
#include <stdint.h>

typedef struct np_random {
  uint64_t state;
} np_random;

static inline void np_random_seed(np_random *random, uint64_t seed) {
  /* One round of splitmix64: neighbouring seeds give unlike streams. */
  seed += UINT64_C(0x9e3779b97f4a7c15);
  seed = (seed ^ (seed >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  seed = (seed ^ (seed >> 27)) * UINT64_C(0x94d049bb133111eb);
  random->state = (seed ^ (seed >> 31)) | 1;
}

static inline uint32_t np_random_next(np_random *random) {
  uint64_t x = random->state;
  x ^= x >> 12;
  x ^= x << 25;
  x ^= x >> 27;
  random->state = x;
  return (uint32_t)((x * UINT64_C(0x2545f4914f6cdd1d)) >> 32);
}

/* Uniform in [0, bound); bound > 0. The bias of the multiply is below 2^-15
 * for the bounds we use (65,536 cases at most). */
static inline uint32_t np_random_below(np_random *random, uint32_t bound) {
  return (uint32_t)(((uint64_t)np_random_next(random) * bound) >> 32);
}

#endif

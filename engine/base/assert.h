/* assert.h - checks of our own bugs. Never of user input, never of the world:
 * the release build leaves them out. */
#ifndef NP_BASE_ASSERT_H
#define NP_BASE_ASSERT_H

#ifdef NP_DEBUG
#include <stdio.h>
#include <stdlib.h>
#define np_assert(condition)                                        \
  do {                                                              \
    if (!(condition)) {                                             \
      fprintf(stderr, "neap: bug: %s:%d: %s\n", __FILE__, __LINE__, \
              #condition);                                          \
      abort();                                                      \
    }                                                               \
  } while (0)
#else
#define np_assert(condition) ((void)sizeof(condition))
#endif

#define np_likely(x) __builtin_expect(!!(x), 1)
#define np_unlikely(x) __builtin_expect(!!(x), 0)

#endif

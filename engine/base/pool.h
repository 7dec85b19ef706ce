/* pool.h - blocks of one size that are used again instead of going back to the
 * allocator, which would give their pages back and fault them in anew. Any
 * thread. Debug builds pass every block on, so that tools see each of them and
 * tests can make each allocation fail. */
#ifndef NP_BASE_POOL_H
#define NP_BASE_POOL_H
#include <stddef.h>

#include "base/lock.h"

typedef struct np_pool {
  np_lock lock;
  size_t size, page;       /* of a block, of the next page */
  void *free;              /* chained through their first word */
  void *pages;             /* all there are, chained the same way */
  char *fresh, *fresh_end; /* never used yet, in the newest page */
} np_pool;

void np_pool_init(np_pool *pool, size_t size);
void np_pool_clear(np_pool *pool); /* All blocks have been given back. */
/* Zeroed; NULL when there is no memory. */
void *np_pool_take(np_pool *pool);
void np_pool_give(np_pool *pool, void *block);

#endif

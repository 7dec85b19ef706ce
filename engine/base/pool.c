#include "base/pool.h"

#include <string.h>

#include "base/alloc.h"

#define BLOCKS_A_PAGE 64

void np_pool_init(np_pool *pool, size_t size) {
  *pool = (np_pool){.size = (size + 15) & ~(size_t)15};
  np_lock_init(&pool->lock);
}

void np_pool_clear(np_pool *pool) {
  while (pool->pages != NULL) {
    void *page = pool->pages;
    pool->pages = *(void **)page;
    np_free(page);
  }
  pool->free = NULL;
}

#ifdef NP_DEBUG
void *np_pool_take(np_pool *pool) { return np_alloc_zero(pool->size); }

void np_pool_give(np_pool *pool, void *block) {
  (void)pool;
  np_free(block);
}
#else
/* With the lock held. */
static void add_page(np_pool *pool) {
  char *page = np_alloc(16 + BLOCKS_A_PAGE * pool->size);
  if (page == NULL) return;
  *(void **)(void *)page = pool->pages;
  pool->pages = page;
  for (int i = BLOCKS_A_PAGE; i-- > 0;) {
    void *block = page + 16 + (size_t)i * pool->size;
    *(void **)block = pool->free;
    pool->free = block;
  }
}

void *np_pool_take(np_pool *pool) {
  np_lock_take(&pool->lock);
  if (pool->free == NULL) add_page(pool);
  void *block = pool->free;
  if (block != NULL) pool->free = *(void **)block;
  np_lock_leave(&pool->lock);
  if (block != NULL) memset(block, 0, pool->size);
  return block;
}

void np_pool_give(np_pool *pool, void *block) {
  np_lock_take(&pool->lock);
  *(void **)block = pool->free;
  pool->free = block;
  np_lock_leave(&pool->lock);
}
#endif

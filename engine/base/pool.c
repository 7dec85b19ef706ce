#include "base/pool.h"

#include <string.h>

#include "base/alloc.h"

#define FIRST_PAGE ((size_t)16 << 10)
#define LAST_PAGE ((size_t)4 << 20)

typedef struct pool_page {
  struct pool_page *next;
  size_t size;
} pool_page;

void np_pool_init(np_pool *pool, size_t size) {
  *pool = (np_pool){.size = (size + 15) & ~(size_t)15, .page = FIRST_PAGE};
  np_lock_init(&pool->lock);
}

void np_pool_clear(np_pool *pool) {
  while (pool->pages != NULL) {
    pool_page *page = pool->pages;
    pool->pages = page->next;
    np_free_huge(page, page->size);
  }
  pool->free = pool->fresh = pool->fresh_end = NULL;
}

#ifdef NP_DEBUG
void *np_pool_take(np_pool *pool) { return np_alloc_zero(pool->size); }

void np_pool_give(np_pool *pool, void *block) {
  (void)pool;
  np_free(block);
}
#else
/* With the lock held. Pages double: a hundred thousand blocks come from huge
 * pages, where a page fault for every fourteen of them was most of the cost. */
static void add_page(np_pool *pool) {
  pool_page *page = np_alloc_huge(pool->page);
  if (page == NULL) return;
  *page = (pool_page){pool->pages, pool->page};
  pool->pages = page;
  pool->fresh = (char *)page + ((sizeof *page + 15) & ~(size_t)15);
  pool->fresh_end = (char *)page + pool->page;
  if (pool->page < LAST_PAGE) pool->page *= 2;
}

void *np_pool_take(np_pool *pool) {
  np_lock_take(&pool->lock);
  void *block = pool->free;
  if (block != NULL) {
    pool->free = *(void **)block;
    np_lock_leave(&pool->lock);
    return memset(block, 0, pool->size);
  }
  if ((size_t)(pool->fresh_end - pool->fresh) < pool->size) add_page(pool);
  if ((size_t)(pool->fresh_end - pool->fresh) >= pool->size) {
    block = pool->fresh; /* Zeroed as it came. */
    pool->fresh += pool->size;
  }
  np_lock_leave(&pool->lock);
  return block;
}

void np_pool_give(np_pool *pool, void *block) {
  np_lock_take(&pool->lock);
  *(void **)block = pool->free;
  pool->free = block;
  np_lock_leave(&pool->lock);
}
#endif

#include "base/alloc.h"

#include <stdlib.h>
#include <sys/mman.h>

#ifdef NP_DEBUG
#include <stdatomic.h>
/* Test builds only: the shipped library keeps no mutable static state. */
static _Atomic int64_t live_blocks;
static _Atomic int64_t fail_countdown;

int64_t np_alloc_live(void) { return atomic_load(&live_blocks); }

int64_t np_alloc_fail_at(int64_t n) {
  return atomic_exchange(&fail_countdown, n);
}

static int must_fail(void) {
  int64_t left = atomic_load(&fail_countdown);
  while (left > 0) {
    if (atomic_compare_exchange_weak(&fail_countdown, &left, left - 1))
      return left == 1;
  }
  return 0;
}

static void *counted(void *block) {
  if (block != NULL) atomic_fetch_add(&live_blocks, 1);
  return block;
}
#define COUNT_FREE(block)                                   \
  do {                                                      \
    if ((block) != NULL) atomic_fetch_sub(&live_blocks, 1); \
  } while (0)
#else
#define must_fail() 0
#define counted(block) (block)
#define COUNT_FREE(block) ((void)0)
#endif

void *np_alloc(size_t size) {
  if (must_fail()) return NULL;
  return counted(malloc(size != 0 ? size : 1));
}

void *np_alloc_zero(size_t size) {
  if (must_fail()) return NULL;
  return counted(calloc(1, size != 0 ? size : 1));
}

void *np_realloc(void *block, size_t size) {
  if (must_fail()) return NULL;
  if (block == NULL) return counted(malloc(size != 0 ? size : 1));
  return realloc(block, size != 0 ? size : 1);
}

void np_free(void *block) {
  COUNT_FREE(block);
  free(block);
}

#define HUGE_PAGE ((size_t)2 << 20)

void *np_alloc_huge(size_t size) {
  if (size < HUGE_PAGE) return np_alloc_zero(size);
  if (must_fail()) return NULL;
  /* Over-allocate by a page and give back both ends: mmap aligns to 4 KiB. */
  size = (size + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1);
  char *base = mmap(NULL, size + HUGE_PAGE, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (base == MAP_FAILED) return NULL;
  size_t skip = (HUGE_PAGE - ((uintptr_t)base & (HUGE_PAGE - 1))) % HUGE_PAGE;
  if (skip != 0) munmap(base, skip);
  if (skip != HUGE_PAGE) munmap(base + skip + size, HUGE_PAGE - skip);
  base += skip;
#ifdef MADV_HUGEPAGE
  (void)madvise(base, size, MADV_HUGEPAGE); /* A wish; refusal only costs. */
#endif
  return counted(base);
}

void np_free_huge(void *block, size_t size) {
  if (block == NULL) return;
  if (size < HUGE_PAGE) {
    np_free(block);
    return;
  }
  COUNT_FREE(block);
  size = (size + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1);
  munmap(block, size);
}

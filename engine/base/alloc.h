/* alloc.h - the one door to the allocator.
 * Any thread. In builds with NP_DEBUG every allocation is counted and can be
 * made to fail on demand, which is how the allocation-failure tests reach each
 * error path; release builds call the C library and nothing else. */
#ifndef NP_BASE_ALLOC_H
#define NP_BASE_ALLOC_H
#include <stddef.h>
#include <stdint.h>

/* NULL when there is no memory. The caller owns the block. */
void *np_alloc(size_t size);
void *np_alloc_zero(size_t size);
/* As realloc: on NULL the old block is untouched. `block` may be NULL. */
void *np_realloc(void *block, size_t size);
void np_free(void *block); /* NULL is fine. */

/* Blocks of 2 MiB and more are asked to be backed by huge pages: the second
 * worker of a large count gains nothing without them (page faults are the
 * job). Zeroed. Freed by np_free_huge with the same size. */
void *np_alloc_huge(size_t size);
void np_free_huge(void *block, size_t size);

#ifdef NP_DEBUG
/* Blocks that are live now, in all threads. */
int64_t np_alloc_live(void);
/* The n-th allocation from now on fails (1 is the next), once; 0 turns it off.
 * Returns how many were still to go. */
int64_t np_alloc_fail_at(int64_t n);
#endif

#endif

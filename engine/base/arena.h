/* arena.h - bytes that are kept until all are freed at once: long keys.
 * One thread at a time. Zero-initialised is an empty arena. */
#ifndef NP_BASE_ARENA_H
#define NP_BASE_ARENA_H
#include <stddef.h>
#include <stdint.h>

#define NP_ARENA_PADDING 32 /* readable bytes behind each copy */

typedef struct np_arena {
  struct np_arena_block *blocks; /* the one being filled first */
  struct np_arena_block *spare;  /* given, not used yet */
  uint64_t bytes, spare_bytes;   /* of blocks, of spares */
} np_arena;

/* A copy that does not move; NULL: no memory. */
char *np_arena_copy(np_arena *arena, const char *bytes, uint32_t length);
/* Takes over a block of np_alloc_huge(size), to be filled before a new one is
 * asked for: it has been touched already, and first touches are dear. What is
 * too much is freed. */
void np_arena_give(np_arena *arena, void *block, size_t size);
/* Moves all of `from`. */
void np_arena_adopt(np_arena *into, np_arena *from);
void np_arena_clear(np_arena *arena);

#endif

#include "base/arena.h"

#include <stdbool.h>
#include <string.h>
#include "base/alloc.h"

#define LEAST ((size_t)4 << 10)
#define MOST ((size_t)4 << 20)

typedef struct np_arena_block {
  struct np_arena_block *next;
  size_t size, used; /* of the whole block, header included */
} np_arena_block;

static np_arena_block *take_spare(np_arena *arena, size_t wanted) {
  np_arena_block *block = arena->spare;
  if (block == NULL || block->size < wanted) return NULL;
  arena->spare = block->next;
  arena->spare_bytes -= block->size;
  return block;
}

/* A block with room for `wanted` bytes, header included, in front of others.
 * A giant stands alone behind the one being filled. */
static np_arena_block *add_block(np_arena *arena, size_t wanted) {
  np_arena_block *filling = arena->blocks, *block = take_spare(arena, wanted);
  size_t size = arena->bytes < LEAST ? LEAST : (size_t)arena->bytes;
  if (size > MOST) size = MOST;
  bool alone = block == NULL && filling != NULL && wanted > size / 4;
  if (block == NULL) {
    if (alone || size < wanted) size = wanted;
    block = np_alloc_huge(size);
    if (block == NULL) return NULL;
    block->size = size;
  }
  block->used = sizeof *block;
  np_arena_block **place = alone ? &filling->next : &arena->blocks;
  block->next = *place;
  *place = block;
  arena->bytes += block->size;
  return block;
}

char *np_arena_copy(np_arena *arena, const char *bytes, uint32_t length) {
  np_arena_block *block = arena->blocks;
  size_t wanted = (size_t)length + NP_ARENA_PADDING;
  if (block == NULL || block->size - block->used < wanted) {
    block = add_block(arena, sizeof *block + wanted);
    if (block == NULL) return NULL;
  }
  char *copy = (char *)block + block->used;
  memcpy(copy, bytes, length);
  block->used += length;
  return copy;
}

void np_arena_give(np_arena *arena, void *block, size_t size) {
  if (size < LEAST || arena->spare_bytes + size > arena->bytes) {
    np_free_huge(block, size);
    return;
  }
  np_arena_block *spare = block;
  spare->size = size;
  spare->next = arena->spare;
  arena->spare = spare;
  arena->spare_bytes += size;
}

static void free_blocks(np_arena_block *block) {
  while (block != NULL) {
    np_arena_block *next = block->next;
    np_free_huge(block, block->size);
    block = next;
  }
}

void np_arena_clear(np_arena *arena) {
  free_blocks(arena->blocks);
  free_blocks(arena->spare);
  *arena = (np_arena){.blocks = NULL};
}

static void append(np_arena_block **list, np_arena_block *blocks) {
  while (*list != NULL) list = &(*list)->next;
  *list = blocks;
}

void np_arena_adopt(np_arena *into, np_arena *from) {
  append(&into->blocks, from->blocks);
  append(&into->spare, from->spare);
  into->bytes += from->bytes;
  into->spare_bytes += from->spare_bytes;
  *from = (np_arena){.blocks = NULL};
}

#include "value/chunk.h"

#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"

#define POOL_MOST 64u
#define POOL_LEAST_ROOM 256u /* smaller ones are quickly made */
#define POOL_MOST_ROOM 8192u
#define POOL_MOST_BYTES (256u << 10) /* a text of its own that is kept */

static void chunk_free(np_object *object);
static const np_object_kind chunk_kind = {"chunk", 0, chunk_free, NULL};

static int pool_index(np_layout layout) {
  return layout == NP_NUMBERS ? 0
         : layout == NP_BYTES ? 1
         : layout == NP_PAIRS ? 2
                              : -1;
}

void np_chunk_pool_init(np_chunk_pool *pool) {
  *pool = (np_chunk_pool){0};
  np_lock_init(&pool->lock);
}

static void destroy(np_chunk *chunk) {
  np_free(chunk->numbers);
  np_free(chunk->starts);
  np_free(chunk->lengths);
  np_free(chunk->bytes);
  np_free(chunk);
}

void np_chunk_pool_clear(np_chunk_pool *pool) {
  for (int i = 0; i < 3; i++) {
    while (pool->free[i] != NULL) {
      np_chunk *next = pool->free[i]->next;
      destroy(pool->free[i]);
      pool->free[i] = next;
    }
  }
  pool->count = 0;
}

/* True if the pool has it now. */
static bool pool_keep(np_chunk *chunk) {
  np_chunk_pool *pool = chunk->pool;
  int index = pool_index((np_layout)chunk->layout);
  if (pool == NULL || index < 0 || chunk->room < POOL_LEAST_ROOM ||
      chunk->room > POOL_MOST_ROOM || chunk->bytes_room > POOL_MOST_BYTES)
    return false;
  np_lock_take(&pool->lock);
  bool kept = pool->count < POOL_MOST;
  if (kept) {
    chunk->next = pool->free[index];
    pool->free[index] = chunk;
    pool->count++;
  }
  np_lock_leave(&pool->lock);
  return kept;
}

static np_chunk *pool_take(np_chunk_pool *pool, np_layout layout,
                           uint32_t room) {
  int index = pool_index(layout);
  if (pool == NULL || index < 0 || room < POOL_LEAST_ROOM) return NULL;
  np_lock_take(&pool->lock);
  np_chunk *chunk = pool->free[index];
  if (chunk != NULL) {
    pool->free[index] = chunk->next;
    pool->count--;
  }
  np_lock_leave(&pool->lock);
  if (chunk == NULL) return NULL;
  if (chunk->room < room) {
    destroy(chunk);
    return NULL;
  }
  np_object_init(&chunk->object, &chunk_kind);
  chunk->next = NULL;
  np_chunk_reset(chunk);
  return chunk;
}

static void chunk_free(np_object *object) {
  np_chunk *chunk = np_container_of(object, np_chunk, object);
  np_value_drop(&chunk->any);
  if (!pool_keep(chunk)) destroy(chunk);
}

static bool has_numbers(np_layout layout) {
  return layout == NP_NUMBERS || layout == NP_PAIRS;
}
static bool has_bytes(np_layout layout) {
  return layout == NP_BYTES || layout == NP_PAIRS || layout == NP_TEXT;
}

np_chunk *np_chunk_new(np_chunk_pool *pool, np_layout layout, uint32_t room) {
  np_chunk *chunk = pool_take(pool, layout, room);
  if (chunk != NULL) return chunk;
  chunk = np_alloc_zero(sizeof *chunk);
  if (chunk == NULL) return NULL;
  chunk->pool = pool;
  np_object_init(&chunk->object, &chunk_kind);
  chunk->layout = (uint8_t)layout;
  chunk->room = room;
  bool failed = false;
  size_t items = room != 0 ? room : 1;
  if (has_numbers(layout)) {
    chunk->numbers = np_alloc(items * sizeof *chunk->numbers);
    failed = chunk->numbers == NULL;
  }
  if (has_bytes(layout)) {
    chunk->starts = np_alloc(items * sizeof *chunk->starts);
    chunk->lengths = np_alloc(items * sizeof *chunk->lengths);
    failed = failed || chunk->starts == NULL || chunk->lengths == NULL;
  }
  if (!failed) return chunk;
  np_chunk_release(chunk);
  return NULL;
}

void np_chunk_reset(np_chunk *chunk) {
  np_assert(np_chunk_is_mine(chunk));
  np_value_drop(&chunk->any);
  chunk->count = 0;
  chunk->last = false;
  chunk->sequence = 0;
  chunk->bytes_used = 0;
  chunk->base = chunk->bytes;
}

np_status np_chunk_reserve(np_chunk *chunk, size_t size) {
  size_t wanted = chunk->bytes_used + size + NP_CHUNK_PADDING;
  if (wanted <= chunk->bytes_room) return NP_OK;
  if (wanted > INT32_MAX) return NP_LIMIT;
  size_t room = chunk->bytes_room * 2 > wanted ? chunk->bytes_room * 2 : wanted;
  if (room < 256) room = 256;
  char *bytes = np_realloc(chunk->bytes, room);
  if (bytes == NULL) return NP_NOMEM;
  chunk->bytes = bytes;
  chunk->base = bytes;
  chunk->bytes_room = room;
  return NP_OK;
}

np_status np_chunk_append(np_chunk *chunk, const char *bytes, size_t length) {
  np_assert(chunk->count < chunk->room);
  np_status status = np_chunk_reserve(chunk, length);
  if (status != NP_OK) return status;
  if (length != 0) memcpy(chunk->bytes + chunk->bytes_used, bytes, length);
  chunk->starts[chunk->count] = (uint32_t)chunk->bytes_used;
  chunk->lengths[chunk->count] = (uint32_t)length;
  chunk->bytes_used += length;
  chunk->count++;
  return NP_OK;
}

np_status np_chunk_settle(np_chunk *chunk) {
  if (!has_bytes((np_layout)chunk->layout) || chunk->base == chunk->bytes)
    return NP_OK;
  size_t size = 0;
  for (uint32_t i = 0; i < chunk->count; i++) size += chunk->lengths[i];
  const char *from = chunk->base;
  chunk->bytes_used = 0;
  np_status status = np_chunk_reserve(chunk, size);
  if (status != NP_OK) return status;
  char *to = chunk->bytes;
  for (uint32_t i = 0; i < chunk->count; i++) {
    memcpy(to, from + chunk->starts[i], chunk->lengths[i]);
    chunk->starts[i] = (uint32_t)(to - chunk->bytes);
    to += chunk->lengths[i];
  }
  chunk->bytes_used = size;
  chunk->base = chunk->bytes;
  return NP_OK;
}

void np_chunk_cut(np_chunk *chunk, uint32_t count) {
  np_assert(chunk->layout != NP_ANY && chunk->layout != NP_TEXT);
  if (count < chunk->count) chunk->count = count;
}

np_chunk *np_chunk_numbers(np_chunk *chunk) {
  if (chunk->layout != NP_SPAN) {
    np_object_retain(&chunk->object);
    return chunk;
  }
  np_chunk *out = np_chunk_new(chunk->pool, NP_NUMBERS, chunk->count);
  if (out == NULL) return NULL;
  for (uint32_t i = 0; i < chunk->count; i++)
    out->numbers[i] = chunk->first + (double)(chunk->index + i) * chunk->by;
  out->count = chunk->count;
  out->sequence = chunk->sequence;
  out->last = chunk->last;
  return out;
}

size_t np_chunk_size(const np_chunk *chunk) {
  size_t size = sizeof *chunk + chunk->bytes_room;
  if (chunk->numbers != NULL) size += chunk->room * sizeof(double);
  if (chunk->starts != NULL) size += chunk->room * 2 * sizeof(uint32_t);
  if (chunk->any.tag == NP_ENCODED) size += chunk->any.as.blob->length;
  return size;
}

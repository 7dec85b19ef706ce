/* source.c - where a segment's chunks come from when there is no edge: a range
 * or files, whose instances claim parts from what they share. */
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "graph/segment.h"

#define MOST_SPAN (1u << 20) /* nothing is stored for its items */
#define MOST_PATHS 256u
#define PATH_ROOM 4096

static np_shared *shared_of(np_segment *segment) {
  return &segment->run->shared[segment->plan->source_node];
}

/* Words and nothing else: then lines have no limit. */
static const np_class *word_class(const np_segment *segment) {
  if (segment->step_count == 0) return NULL;
  const np_step *step = &segment->steps[0];
  if (step->plan->kind != NP_NODE_WORDS || !step->plan->over_text) return NULL;
  return &segment->run->graph->nodes[step->plan->node].class;
}

/* Under the lock, once for all instances. */
static np_status open_blocks(np_segment *segment, np_shared *shared) {
  const np_node *node = &segment->run->graph->nodes[0];
  np_class separators;
  np_blocks_options options = {
      .starts = (const char *const *)node->texts,
      .start_count = node->text_count,
      .block_size = segment->run->forced != 0 ? 4096 : 0,
  };
  const np_class *words = word_class(segment);
  if (words != NULL && !np_class_has(words, '\n')) {
    np_class_invert(&separators, words);
    options.separators = &separators;
  }
  return np_blocks_open(&shared->blocks, &options);
}

static np_status open_files(np_segment *segment) {
  const np_node *node = &segment->run->graph->nodes[0];
  np_shared *shared = shared_of(segment);
  bool blocks = segment->plan->source == NP_SOURCE_BLOCKS;
  np_status status = NP_OK;
  np_lock_take(&shared->lock);
  if (blocks && shared->blocks == NULL)
    status = open_blocks(segment, shared);
  else if (!blocks && shared->walk == NULL)
    status = np_walk_open(&shared->walk, (const char *const *)node->texts,
                          node->text_count);
  np_lock_leave(&shared->lock);
  if (status != NP_OK) return status;
  if (blocks)
    return np_reader_open((np_reader **)&segment->source, shared->blocks);
  return np_walk_cursor_open((np_walk_cursor **)&segment->source, shared->walk);
}

np_status np_source_open(np_segment *segment) {
  switch (segment->plan->source) {
    case NP_SOURCE_FILES:
    case NP_SOURCE_BLOCKS:
      return open_files(segment);
    default:
      return NP_OK;
  }
}

void np_source_close(np_segment *segment) {
  if (segment->source == NULL) return;
  if (segment->plan->source == NP_SOURCE_BLOCKS)
    np_reader_close(segment->source);
  else
    np_walk_cursor_close(segment->source);
  segment->source = NULL;
}

/* The last worker shall not have much more left than the others. */
static uint64_t claim_size(const np_segment *segment, uint64_t left) {
  uint64_t size = np_segment_items(segment, MOST_SPAN);
  if (segment->run->forced == 0 && segment->plan->instances > 1) {
    uint64_t share = left / (4 * (uint64_t)segment->plan->instances) + 1;
    if (share < size) size = share;
  }
  return size < left ? size : left;
}

static int32_t pull_range(np_segment *segment, np_chunk **out) {
  const np_node *node = &segment->run->graph->nodes[0];
  np_shared *shared = shared_of(segment);
  double limit = segment->plan->limit;
  uint64_t total =
      (uint64_t)(node->numbers[2] < limit ? node->numbers[2] : limit);
  np_chunk *chunk = np_chunk_new(&segment->run->pool, NP_SPAN, 0);
  if (chunk == NULL) return NP_NOMEM;
  np_lock_take(&shared->lock);
  uint64_t left = total - shared->position;
  uint64_t size = claim_size(segment, left);
  chunk->index = shared->position;
  shared->position += size;
  chunk->sequence = size != 0 ? shared->sequence++ : 0;
  np_lock_leave(&shared->lock);
  if (size == 0) {
    np_chunk_release(chunk);
    return NP_DONE;
  }
  chunk->count = (uint32_t)size;
  chunk->first = node->numbers[0];
  chunk->by = node->numbers[1];
  *out = chunk;
  return NP_OK;
}

static uint64_t next_sequence(np_segment *segment) {
  np_shared *shared = shared_of(segment);
  np_lock_take(&shared->lock);
  uint64_t sequence = shared->sequence++;
  np_lock_leave(&shared->lock);
  return sequence;
}

static np_status append_path(np_chunk *chunk, const np_walk_file *file) {
  char path[PATH_ROOM];
  size_t length = np_walk_path(file, path, sizeof path);
  if (length < sizeof path) return np_chunk_append(chunk, path, length);
  char *longer = np_alloc(length + 1);
  if (longer == NULL) return NP_NOMEM;
  np_walk_path(file, longer, length + 1);
  np_status status = np_chunk_append(chunk, longer, length);
  np_free(longer);
  return status;
}

static int32_t pull_paths(np_segment *segment, np_chunk **out) {
  uint32_t most = np_segment_items(segment, MOST_PATHS);
  np_chunk *chunk = np_chunk_new(&segment->run->pool, NP_BYTES, most);
  if (chunk == NULL) return NP_NOMEM;
  int32_t status = NP_OK;
  while (chunk->count < most) {
    np_walk_file file;
    status = np_walk_next(segment->source, &file);
    if (status != NP_OK) break;
    status = append_path(chunk, &file);
    if (status != NP_OK) break;
  }
  if (chunk->count != 0 &&
      (status == NP_OK || status == NP_AGAIN || status == NP_DONE)) {
    chunk->sequence = next_sequence(segment);
    *out = chunk;
    return NP_OK;
  }
  np_chunk_release(chunk);
  return status;
}

static int32_t pull_block(np_segment *segment, np_chunk **out) {
  np_block block;
  np_status status;
  do {
    status = np_reader_next(segment->source, &block);
  } while (status == NP_LIMIT); /* Reported; what was too long is skipped. */
  if (status != NP_OK) return status;
  np_chunk *chunk = np_chunk_new(NULL, NP_TEXT, 1);
  if (chunk == NULL) return NP_NOMEM;
  chunk->base = block.bytes;
  chunk->starts[0] = 0;
  chunk->lengths[0] = block.length;
  chunk->count = 1;
  chunk->sequence = next_sequence(segment);
  *out = chunk;
  return NP_OK;
}

int32_t np_source_pull(np_segment *segment, np_chunk **out) {
  switch (segment->plan->source) {
    case NP_SOURCE_RANGE:
      return pull_range(segment, out);
    case NP_SOURCE_FILES:
      return pull_paths(segment, out);
    default:
      np_assert(segment->plan->source == NP_SOURCE_BLOCKS);
      return pull_block(segment, out);
  }
}

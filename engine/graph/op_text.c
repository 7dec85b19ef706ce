/* op_text.c - lines and words: cut text into items that stay where they are.
 * Over blocks they cut what a source has read. Else the items of `lines` are
 * paths, which are opened here, and those of `words` are texts. */
#include "base/alloc.h"
#include "base/assert.h"
#include "graph/segment.h"

#define MOST_ITEMS 2048u

typedef struct np_cutter {
  np_class class; /* words */
  bool by_line;
  np_scan scan;
  bool scanning; /* the text at hand is not through */
  /* Small chunks, for tests: cut once, given in parts. */
  uint32_t starts[NP_SCAN_LEAST], lengths[NP_SCAN_LEAST];
  uint32_t cut, given;
  np_blocks *blocks; /* of the paths of the chunk at hand */
  np_reader *reader;
} np_cutter;

static np_status open_cutter(np_segment *segment, np_step *step) {
  np_cutter *cutter = np_alloc_zero(sizeof *cutter);
  if (cutter == NULL) return NP_NOMEM;
  step->state = cutter;
  const np_node *node = &segment->run->graph->nodes[step->plan->node];
  cutter->by_line = node->kind == NP_NODE_LINES;
  if (cutter->by_line) return NP_OK;
  cutter->class = node->class;
  if (step->plan->over_text && np_class_has(&node->class, '\n')) {
    /* There were lines first: a word does not go on in the next one. */
    uint64_t bits[4];
    for (int i = 0; i < 4; i++) bits[i] = node->class.bits[i];
    bits[0] &= ~(UINT64_C(1) << '\n');
    np_class_make(&cutter->class, bits);
  }
  return NP_OK;
}

static void close_blocks(np_segment *segment, np_cutter *cutter) {
  np_reader_close(cutter->reader);
  cutter->reader = NULL;
  np_walk_problem problem;
  while (segment != NULL && cutter->blocks != NULL &&
         np_blocks_take_problem(cutter->blocks, &problem))
    np_run_report(segment->run, problem);
  np_blocks_free(cutter->blocks);
  cutter->blocks = NULL;
}

static void close_cutter(np_step *step) {
  np_cutter *cutter = step->state;
  if (cutter == NULL) return;
  if (cutter->reader != NULL) np_reader_close(cutter->reader);
  np_blocks_free(cutter->blocks);
  np_free(cutter);
  step->state = NULL;
}

static uint32_t scan(np_cutter *cutter, uint32_t *starts, uint32_t *lengths,
                     uint32_t most) {
  return cutter->by_line ? np_scan_lines(&cutter->scan, starts, lengths, most)
                         : np_scan_runs(&cutter->scan, &cutter->class, starts,
                                        lengths, most);
}

/* The next items of the text at hand; 0: it is through. */
static uint32_t cut(np_cutter *cutter, np_chunk *out, uint32_t most) {
  if (most >= NP_SCAN_LEAST && cutter->given == cutter->cut)
    return scan(cutter, out->starts, out->lengths, most);
  if (cutter->given == cutter->cut) {
    cutter->given = 0;
    cutter->cut = scan(cutter, cutter->starts, cutter->lengths, NP_SCAN_LEAST);
  }
  uint32_t count = cutter->cut - cutter->given;
  if (count > most) count = most;
  for (uint32_t i = 0; i < count; i++) {
    out->starts[i] = cutter->starts[cutter->given + i];
    out->lengths[i] = cutter->lengths[cutter->given + i];
  }
  cutter->given += count;
  return count;
}

static void begin(np_cutter *cutter, const char *text, uint32_t length) {
  np_scan_begin(&cutter->scan, text, length);
  cutter->scanning = true;
}

/* One chunk of items of the text that was begun. NP_DONE: it is through. */
static int32_t cut_chunk(np_segment *segment, np_step *step, np_chunk **out) {
  np_cutter *cutter = step->state;
  uint32_t most = np_segment_items(segment, MOST_ITEMS);
  if (segment->run->forced == 0 && most < NP_SCAN_LEAST && most > 16)
    most = NP_SCAN_LEAST;
  np_chunk *chunk = np_step_chunk(step, NP_BYTES, most);
  if (chunk == NULL) return NP_NOMEM;
  chunk->count = cut(cutter, chunk, most);
  if (chunk->count == 0) {
    np_chunk_release(chunk);
    cutter->scanning = false;
    return NP_DONE;
  }
  chunk->base = cutter->scan.bytes;
  *out = chunk;
  return NP_OK;
}

static int32_t run_over_text(np_segment *segment, np_step *step,
                             np_chunk **out) {
  np_cutter *cutter = step->state;
  if (!cutter->scanning)
    begin(cutter, step->input->base + step->input->starts[0],
          step->input->lengths[0]);
  int32_t status = cut_chunk(segment, step, out);
  if (status != NP_DONE) return status;
  np_step_consumed(step);
  return NP_OK;
}

/* --- lines of paths --- */

static np_status open_paths(np_cutter *cutter, const np_chunk *input) {
  uint32_t count = input->count;
  const char **starts = np_alloc(count * sizeof(char *));
  np_chunk *copy = np_chunk_new(NULL, NP_BYTES, count);
  np_status status = starts != NULL && copy != NULL ? NP_OK : NP_NOMEM;
  for (uint32_t i = 0; i < count && status == NP_OK; i++) {
    status = np_chunk_append(copy, input->base + input->starts[i],
                             input->lengths[i]);
    if (status == NP_OK) status = np_chunk_reserve(copy, 1);
    if (status == NP_OK) copy->bytes[copy->bytes_used++] = '\0';
  }
  if (status == NP_OK) {
    for (uint32_t i = 0; i < count; i++)
      starts[i] = copy->bytes + copy->starts[i];
    np_blocks_options options = {.starts = starts, .start_count = count};
    status = np_blocks_open(&cutter->blocks, &options);
  }
  if (status == NP_OK) status = np_reader_open(&cutter->reader, cutter->blocks);
  np_chunk_release(copy);
  np_free(starts);
  return status;
}

static int32_t run_over_paths(np_segment *segment, np_step *step,
                              np_chunk **out) {
  np_cutter *cutter = step->state;
  if (cutter->reader == NULL) {
    np_status status = open_paths(cutter, step->input);
    if (status != NP_OK) return status;
  }
  for (;;) {
    if (cutter->scanning) {
      int32_t status = cut_chunk(segment, step, out);
      if (status != NP_DONE) return status;
    }
    np_block block;
    np_status status = np_reader_next(cutter->reader, &block);
    if (status == NP_LIMIT) continue;
    if (status == NP_OK) {
      begin(cutter, block.bytes, block.length);
      continue;
    }
    if (status != NP_DONE) return status;
    close_blocks(segment, cutter);
    np_step_consumed(step);
    return NP_OK;
  }
}

/* --- words of texts --- */

/* Texts are scanned one by one; a chunk takes words of many. */
static int32_t run_over_items(np_segment *segment, np_step *step,
                              np_chunk **out) {
  np_cutter *cutter = step->state;
  const np_chunk *input = step->input;
  uint32_t most = np_segment_items(segment, MOST_ITEMS);
  np_chunk *chunk = np_step_chunk(step, NP_BYTES, most);
  if (chunk == NULL) return NP_NOMEM;
  chunk->base = input->base;
  while (chunk->count < most && step->position < input->count) {
    uint32_t start = input->starts[step->position];
    if (!cutter->scanning)
      begin(cutter, input->base + start, input->lengths[step->position]);
    if (cutter->given == cutter->cut) {
      cutter->given = 0;
      cutter->cut =
          scan(cutter, cutter->starts, cutter->lengths, NP_SCAN_LEAST);
    }
    while (chunk->count < most && cutter->given < cutter->cut) {
      chunk->starts[chunk->count] = start + cutter->starts[cutter->given];
      chunk->lengths[chunk->count++] = cutter->lengths[cutter->given++];
    }
    if (cutter->cut == 0) {
      cutter->scanning = false;
      step->position++;
    }
  }
  if (step->position < input->count) {
    *out = chunk;
    return NP_OK;
  }
  np_status status = NP_OK;
  if (input->base == input->bytes) /* It goes with the input. */
    status = np_chunk_settle(chunk);
  np_step_consumed(step);
  *out = chunk;
  return status;
}

static int32_t run_cutter(np_segment *segment, np_step *step, np_chunk **out) {
  if (step->plan->over_text) return run_over_text(segment, step, out);
  if (step->input->layout != NP_BYTES)
    return np_run_fail(segment->run, NP_FAULT_TYPE, step->plan->node,
                       step->input->layout);
  return step->plan->kind == NP_NODE_LINES ? run_over_paths(segment, step, out)
                                           : run_over_items(segment, step, out);
}

const np_operator np_op_lines = {open_cutter, run_cutter, NULL, close_cutter};
const np_operator np_op_words = {open_cutter, run_cutter, NULL, close_cutter};

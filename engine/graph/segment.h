/* segment.h - one task's part of a run, as a state machine. np_segment_next
 * pulls chunks, runs native steps and sends what comes out, until it needs
 * its caller: to wait, or to run a Lua step on the chunk at hand. The deepest
 * step with work goes first, so a step holds one chunk at most.
 * One thread at a time; only the counters are read by others. */
#ifndef NP_GRAPH_SEGMENT_H
#define NP_GRAPH_SEGMENT_H
#include "graph/dictionary.h"
#include "graph/run.h"

/* cdef:begin */
typedef enum np_turn_kind {
  NP_TURN_RUN = 1,   /* run Lua step `step` on the chunk described here */
  NP_TURN_PULL = 2,  /* step 0 makes items: run it for up to `slice` of them */
  NP_TURN_FLUSH = 3, /* the input has ended: let step `step` give the rest */
  NP_TURN_NEED = 4,  /* nothing is left at or behind the step asked for */
  NP_TURN_END = 5    /* the segment has ended, or nobody wants its items */
} np_turn_kind;

/* What Lua reads; the head of a segment. */
typedef struct np_turn {
  int32_t step; /* among the segment's steps, from 0 */
  int32_t layout;
  uint32_t count;
  uint32_t slice; /* items that take about a millisecond; Lua sets it */
  double first, by, index; /* span */
  const double *numbers;
  const char *base;
  const uint32_t *starts, *lengths;
  const char *bytes; /* any */
  double length;
} np_turn;
/* cdef:end */

typedef struct np_step np_step;

/* A native operator. `run` works on step->input and may give one chunk a call;
 * it calls np_step_consumed when the input is used up. NP_AGAIN: call again in
 * a while. NP_DONE: wants no more input (after *out). `flush` gives one chunk
 * a call after the input has ended, then NP_DONE. */
typedef struct np_operator {
  np_status (*open)(np_segment *segment, np_step *step);
  int32_t (*run)(np_segment *segment, np_step *step, np_chunk **out);
  int32_t (*flush)(np_segment *segment, np_step *step, np_chunk **out);
  void (*close)(np_step *step);
} np_operator;

struct np_step {
  const np_plan_step *plan;
  const np_operator *ops; /* NULL: Lua */
  np_chunk *input;
  np_chunk *spare; /* the chunk it gave last, to fill it again */
  np_chunk_pool *pool;
  uint32_t position;
  bool begun;                /* something of the input has been done */
  np_dictionary *dictionary; /* Lua over bytes; made when first asked for */
  void *state;
};

typedef enum np_segment_wait {
  NP_SEGMENT_RUNS = 0,
  NP_SEGMENT_SENDS = 1,
  NP_SEGMENT_RECEIVES = 2,
  NP_SEGMENT_CLAIMS = 3,
  NP_SEGMENT_SLEEPS = 4
} np_segment_wait;

struct np_segment {
  np_turn turn; /* first */
  np_run *run;
  np_segment *next; /* of the run; under its lock */
  const np_plan_segment *plan;
  uint32_t index, instance;
  np_step *steps;
  uint32_t step_count;
  np_edge *input, *output; /* NULL: a source; the last segment */
  np_reorder reorder;
  void *source;      /* a reader or cursor */
  np_chunk *pending; /* to be sent next */
  np_chunk *held;    /* ordered: the latest of its number, not known as last */
  uint64_t sequence; /* ordered: the number at hand */
  uint64_t sent;     /* numbers chunks for an ordered region behind us */
  uint32_t flushing; /* the step that gives its rest */
  uint32_t stopped;  /* steps that get no more input: those below this */
  bool yielded;      /* the last look around gave way */
  bool sinks; /* ends with a partial: how fast the next one is, is nothing */
  uint8_t waiting;
  bool claimed, has_permit, input_ended, output_closed, ended;
  uint32_t sleeps;                  /* in a row */
  np_dictionary *dictionary;        /* for Lua; made when first asked for */
  np_chunk *results, *results_last; /* of the last segment, without Lua */
  _Atomic uint64_t items_in, items_out, chunks_in;
};

/* The run keeps it. `me`: the worker that will run it. */
np_status np_segment_open(np_segment **out, np_run *run, uint32_t index,
                          uint32_t instance);
void np_segment_free(np_segment *segment); /* By the run. */

/* A turn (>= 0), NP_PARKED, NP_PUMP or NP_YIELD (wait, then call again with
 * the wake's code), NP_CANCELED, NP_NOMEM, or NP_STATE (see run->fault).
 * `base` 0: everything; k: only what lies behind step k - 1. */
int32_t np_segment_next(np_waker *me, np_segment *segment, uint32_t base,
                        int32_t code);
/* The Lua step `step` is through with its chunk. */
void np_segment_consumed(np_segment *segment, uint32_t step);
/* Takes over a chunk that a Lua step made; nothing may be waiting behind it. */
void np_segment_give(np_segment *segment, uint32_t step, np_chunk *chunk);
/* Lua has given all the rest of the step that flushes. */
void np_segment_flushed(np_segment *segment);
/* The Lua source has no more items. */
void np_segment_exhausted(np_segment *segment);
/* Step `step` wants no more: what is before it ends without a flush. */
void np_segment_stop(np_waker *me, np_segment *segment, uint32_t step);

/* For the machine. */
int32_t np_segment_deliver(np_segment *segment, uint32_t at, np_chunk *chunk);
void np_segment_close(np_segment *segment); /* All but its figures. */

/* For operators. */
void np_step_consumed(np_step *step);
/* An empty chunk with that much room, the last one again if nobody kept it. */
np_chunk *np_step_chunk(np_step *step, np_layout layout, uint32_t room);
static inline np_shared *np_segment_shared(np_segment *segment,
                                           const np_step *step) {
  return &segment->run->shared[step->plan->node];
}
/* How many items a chunk should have now. */
uint32_t np_segment_items(const np_segment *segment, uint32_t most);

/* source.c. NP_OK: *out; NP_DONE: none left; NP_AGAIN: in a while. */
np_status np_source_open(np_segment *segment);
int32_t np_source_pull(np_segment *segment, np_chunk **out);
void np_source_close(np_segment *segment);

extern const np_operator np_op_lines, np_op_words, np_op_take, np_op_count,
    np_op_sum, np_op_count_by;

#endif

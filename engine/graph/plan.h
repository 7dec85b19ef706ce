/* plan.h - what a graph becomes before it runs: segments, as pure data.
 * A segment is what one task does: it takes chunks from a source or an edge,
 * passes them through steps, and gives what comes out to the next segment's
 * edge. A step is native (one operator) or Lua (a run of stages that become one
 * generated loop, or several when a stage stands between two of them).
 * Reductions in a parallel region are partials there and combined behind it. */
#ifndef NP_GRAPH_PLAN_H
#define NP_GRAPH_PLAN_H
#include "graph/graph.h"

/* cdef:begin */
typedef enum np_mode {
  NP_WHOLE = 0,
  NP_PARTIAL = 1, /* one of several; what it has goes to the combining one */
  NP_COMBINE = 2
} np_mode;

typedef struct np_plan np_plan;
/* cdef:end */

typedef enum np_source {
  NP_SOURCE_EDGE = 0,
  NP_SOURCE_RANGE = 1,
  NP_SOURCE_FILES = 2,  /* paths */
  NP_SOURCE_BLOCKS = 3, /* the text of files */
  NP_SOURCE_LUA = 4     /* the first step makes the items */
} np_source;

typedef struct np_plan_item {
  uint16_t node;
  uint8_t mode;
} np_plan_item;

typedef struct np_plan_step {
  bool is_lua;
  uint8_t kind; /* native: the np_node_kind of its operator */
  uint8_t mode;
  bool over_text; /* lines, words: cuts whole blocks */
  uint16_t node;  /* native */
  uint16_t top;   /* count_by: also does the `top` of this node; 0: none */
  uint32_t first; /* Lua: its items */
  uint32_t count;
} np_plan_step;

typedef struct np_plan_segment {
  bool pooled;        /* on workers, else where the run was started */
  bool ordered;       /* its chunks are numbered when they are claimed */
  bool reorders;      /* its edge brings chunks of an ordered region */
  bool skipped;       /* a take(0) is behind it: it opens nothing */
  uint32_t instances; /* tasks */
  uint32_t window;    /* ordered: chunks claimed and not delivered */
  uint8_t source;
  uint16_t source_node;
  double limit; /* range: no more items than this are wanted */
  uint32_t first_step, step_count;
} np_plan_segment;

struct np_plan {
  np_plan_segment *segments;
  np_plan_step *steps;
  np_plan_item *items;
  uint32_t segment_count, step_count, item_count;
};

/* `workers`: how many tasks a fan_out has that does not say. */
np_status np_plan_make(np_plan *plan, const np_graph *graph, uint32_t workers);
void np_plan_free(np_plan *plan); /* Zero-initialised is fine. */

/* The plan in words, a line a segment; owned by the caller (np_free). NULL:
 * no memory. */
char *np_plan_explain(const np_plan *plan, const np_graph *graph);

#endif

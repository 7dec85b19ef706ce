/* run.h - one execution of a graph: its plan, its edges, and what the tasks of
 * a stage share (the position in a range, the files, the counts). It is not
 * freed before all tasks have ended, which the scope they run in sees to.
 * The first failure is kept and wins over all that follow from it. */
#ifndef NP_GRAPH_RUN_H
#define NP_GRAPH_RUN_H
#include "base/counter.h"
#include "graph/edge.h"
#include "graph/plan.h"
#include "io/blocks.h"
#include "sched/engine.h"

/* cdef:begin */
typedef struct np_run np_run;
typedef struct np_segment np_segment;

typedef enum np_fault {
  NP_FAULT_NONE = 0,
  NP_FAULT_MEMORY = 1,
  NP_FAULT_TYPE = 2,  /* a native stage got items that it cannot use */
  NP_FAULT_LIMIT = 3, /* a line or a text is too long */
  NP_FAULT_BUG = 4
} np_fault;
/* cdef:end */

/* What the instances of a node share. */
typedef struct np_shared {
  np_lock lock;
  uint64_t position; /* range: claimed so far */
  uint64_t sequence; /* ordered: numbers given so far */
  np_walk *walk;
  np_blocks *blocks;
  np_counting *counting;
  np_counts *counts;
  _Atomic uint64_t count;
  double sum, rest; /* of the partial sums; under the lock */
} np_shared;

typedef struct np_problem {
  struct np_problem *next;
  np_walk_problem problem;
} np_problem;

struct np_run {
  const np_graph *graph; /* outlives the run */
  np_plan plan;
  np_edge *edges;    /* behind each segment but the last */
  np_shared *shared; /* by node */
  np_chunk_pool pool;
  uint32_t forced; /* items a chunk, for tests; 0: as time says */
  np_lock lock;    /* guards all below */
  np_segment *segments;
  np_problem *problems, **problems_end;
  _Atomic int32_t fault; /* np_fault; read without the lock */
  uint32_t fault_node;
  uint8_t fault_layout;
};

/* Nothing is opened or started yet. The graph must outlive the run. */
np_status np_run_open(np_run **out, const np_graph *graph, uint32_t workers,
                      uint32_t forced);
/* No task of it lives. NULL is fine. */
void np_run_free(np_run *run);

static inline bool np_run_has_failed(const np_run *run) {
  return atomic_load_explicit(&run->fault, memory_order_relaxed) !=
         NP_FAULT_NONE;
}
/* Keeps the first failure. Returns NP_STATE, which ends the segment. */
int32_t np_run_fail(np_run *run, np_fault fault, uint32_t node, uint8_t layout);
/* Takes over what is wrong with a file. */
void np_run_report(np_run *run, np_walk_problem problem);
/* The oldest report, the caller's now; false if there is none. */
bool np_run_take_problem(np_run *run, np_walk_problem *out);

/* Makes a task of a segment that has no Lua step, in the current scope: on
 * worker `target`, or here when it is 0. */
np_status np_run_spawn(np_worker *from, np_run *run, uint32_t segment,
                       uint32_t instance, uint32_t target);

#endif

/* graph.h - a dataflow program as it was declared: a chain of nodes, each with
 * its kind and its parameters. Built by one thread, then read only.
 * Functions are not in here: whoever runs Lua stages knows them by the number
 * of their node. A graph without such stages runs with no Lua at all. */
#ifndef NP_GRAPH_GRAPH_H
#define NP_GRAPH_GRAPH_H
#include <stdbool.h>
#include <stdint.h>

#include "base/scan.h"
#include "base/status.h"

/* cdef:begin */
typedef enum np_node_kind {
  NP_NODE_RANGE = 1,
  NP_NODE_LIST = 2,
  NP_NODE_ITER = 3,
  NP_NODE_FILES = 4,
  NP_NODE_LINES = 5,
  NP_NODE_WORDS = 6,
  NP_NODE_MAP = 7,
  NP_NODE_FILTER = 8,
  NP_NODE_FLAT_MAP = 9,
  NP_NODE_TAKE = 10,
  NP_NODE_FAN_OUT = 11,
  NP_NODE_FAN_IN = 12,
  NP_NODE_REDUCE = 13,
  NP_NODE_SUM = 14,
  NP_NODE_COUNT = 15,
  NP_NODE_COUNT_BY = 16,
  NP_NODE_TOP = 17,
  NP_NODE_COLLECT = 18,
  NP_NODE_EACH = 19,
  NP_NODE_VALUE = 20
} np_node_kind;

typedef enum np_node_flag {
  NP_NODE_ORDERED = 1,  /* fan_out: results in the order of the input */
  NP_NODE_COMBINES = 2, /* reduce: partials can be combined */
  NP_NODE_BY = 4,       /* top: a Lua function says by what */
  NP_NODE_PURE = 8      /* the function may be called once an equal item */
} np_node_flag;

typedef struct np_graph np_graph;
/* cdef:end */

typedef struct np_node {
  uint32_t kind, flags;
  double numbers[3]; /* range: first, step, count; take, top: n; fan_out: n,
                        window */
  np_class class;    /* words */
  char **texts;      /* files: the starts, copied */
  uint32_t text_count;
  char *label;    /* the stage's name; NULL: that of its kind */
  char *declared; /* file:line, or NULL */
} np_node;

struct np_graph {
  np_node *nodes;
  uint32_t count, room;
};

np_status np_graph_open(np_graph **out);
void np_graph_free(np_graph *graph); /* NULL is fine. */

/* Appends a node; it takes its items from the one before. Texts are copied.
 * NP_RANGE: a source that is not first, or a first node that is no source. */
np_status np_graph_add(np_graph *graph, uint32_t kind, uint32_t flags,
                       const double numbers[3]);
/* Of the node that was added last. */
np_status np_graph_text(np_graph *graph, const char *text, size_t length);
np_status np_graph_class(np_graph *graph, const char *pattern, size_t length);
np_status np_graph_name(np_graph *graph, const char *label,
                        const char *declared);

const char *np_node_name(const np_node *node);
static inline bool np_node_is_source(uint32_t kind) {
  return kind <= NP_NODE_FILES;
}

#endif

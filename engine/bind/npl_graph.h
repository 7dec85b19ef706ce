/* npl_graph.h - graphs and runs as Lua calls them. A graph is built and read by
 * the thread that declared it; a segment belongs to the task that opened it. */
#ifndef NP_BIND_NPL_GRAPH_H
#define NP_BIND_NPL_GRAPH_H
#include "bind/npl_core.h"
#include "graph/segment.h"

#pragma GCC visibility push(default)
/* cdef:begin */
/* Declaring: np_status each. */
np_graph *npl_graph_open(void);
void npl_graph_free(np_graph *graph);
int32_t npl_graph_add(np_graph *graph, uint32_t kind, uint32_t flags, double a,
                      double b, double c);
int32_t npl_graph_text(np_graph *graph, const char *text, size_t length);
int32_t npl_graph_class(np_graph *graph, const char *text, size_t length);
int32_t npl_graph_name(np_graph *graph, const char *label,
                       const char *declared);
bool npl_class_known(const char *pattern, size_t length);

/* A run, and its plan. */
np_run *npl_run_open(np_graph *graph, uint32_t workers, uint32_t forced);
void npl_run_free(np_run *run);
uint32_t npl_run_segments(np_run *run);
bool npl_run_is_pooled(np_run *run, uint32_t segment);
uint32_t npl_run_instances(np_run *run, uint32_t segment);
uint32_t npl_run_steps(np_run *run, uint32_t segment);
uint32_t npl_run_items(np_run *run, uint32_t segment, uint32_t step);
uint32_t npl_run_item(np_run *run, uint32_t segment, uint32_t step,
                      uint32_t item);                  /* 4 * node + mode */
bool npl_run_is_source(np_run *run, uint32_t segment); /* Lua makes items */
char *npl_run_explain(np_run *run);
void npl_text_free(char *text);
int32_t npl_run_spawn(np_front *w, np_run *run, uint32_t segment,
                      uint32_t instance, uint32_t target);

/* How it goes. npl_run_figure: 0 items in, 1 items out, 2 chunks in, 3 items
 * waiting behind it, of a segment. npl_run_files: 0 files, 1 bytes read, 2
 * bytes known, 3 all known. */
int32_t npl_run_fault(np_run *run);
uint32_t npl_run_fault_node(np_run *run);
int32_t npl_run_fault_layout(np_run *run);
char *npl_run_problem(np_run *run, int32_t *error, double *offset);
double npl_run_figure(np_run *run, uint32_t segment, int32_t which);
double npl_run_files(np_run *run, int32_t which);

/* From a finalizer: cancels a task of this worker, if it lives, and touches
 * nothing that is being put together to send. */
void npl_abandon(np_front *w, uint32_t slot, uint32_t generation);

/* A segment. NULL: no memory. */
np_turn *npl_segment_open(np_run *run, uint32_t segment, uint32_t instance);
int32_t npl_segment_next(np_front *w, np_turn *turn, uint32_t base,
                         int32_t code);
void npl_segment_consumed(np_turn *turn, uint32_t step);
void npl_segment_give(np_turn *turn, uint32_t step, np_chunk *chunk);
void npl_segment_flushed(np_turn *turn);
void npl_segment_exhausted(np_turn *turn);
void npl_segment_stop(np_front *w, np_turn *turn, uint32_t step);
uint32_t npl_segment_room(np_turn *turn, uint32_t most);
int32_t npl_segment_codes(np_turn *turn, uint32_t step, np_codes *out);
int32_t npl_segment_select(np_turn *turn, uint32_t step, const uint32_t *keep,
                           uint32_t count);
void npl_segment_any(np_front *w, np_turn *turn, uint32_t step);

/* A chunk that Lua makes, given with npl_segment_give or freed. */
np_chunk *npl_chunk_new(np_turn *turn, int32_t layout, uint32_t room);
void npl_chunk_free(np_chunk *chunk);
double *npl_chunk_numbers(np_chunk *chunk);
void npl_chunk_set_count(np_chunk *chunk, uint32_t count);
int32_t npl_chunk_append(np_chunk *chunk, const char *bytes, size_t length);
void npl_chunk_set_any(np_front *w, np_chunk *chunk, uint32_t count);
/* cdef:end */
#pragma GCC visibility pop

#endif

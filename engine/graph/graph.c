#include "graph/graph.h"

#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"

static char *copy_text(const char *text, size_t length) {
  char *copy = np_alloc(length + 1);
  if (copy == NULL) return NULL;
  memcpy(copy, text, length);
  copy[length] = '\0';
  return copy;
}

np_status np_graph_open(np_graph **out) {
  *out = np_alloc_zero(sizeof **out);
  return *out != NULL ? NP_OK : NP_NOMEM;
}

static void free_node(np_node *node) {
  for (uint32_t i = 0; i < node->text_count; i++) np_free(node->texts[i]);
  np_free(node->texts);
  np_free(node->label);
  np_free(node->declared);
}

void np_graph_free(np_graph *graph) {
  if (graph == NULL) return;
  for (uint32_t i = 0; i < graph->count; i++) free_node(&graph->nodes[i]);
  np_free(graph->nodes);
  np_free(graph);
}

np_status np_graph_add(np_graph *graph, uint32_t kind, uint32_t flags,
                       const double numbers[3]) {
  if (np_node_is_source(kind) != (graph->count == 0)) return NP_RANGE;
  if (graph->count == graph->room) {
    uint32_t room = graph->room != 0 ? graph->room * 2 : 8;
    np_node *nodes = np_realloc(graph->nodes, room * sizeof *nodes);
    if (nodes == NULL) return NP_NOMEM;
    graph->nodes = nodes;
    graph->room = room;
  }
  np_node *node = &graph->nodes[graph->count++];
  *node = (np_node){.kind = kind, .flags = flags};
  if (numbers != NULL) memcpy(node->numbers, numbers, sizeof node->numbers);
  return NP_OK;
}

static np_node *last(np_graph *graph) {
  np_assert(graph->count != 0);
  return &graph->nodes[graph->count - 1];
}

np_status np_graph_text(np_graph *graph, const char *text, size_t length) {
  np_node *node = last(graph);
  size_t size = (node->text_count + 1) * sizeof(char *);
  char **texts = np_realloc(node->texts, size);
  if (texts == NULL) return NP_NOMEM;
  node->texts = texts;
  texts[node->text_count] = copy_text(text, length);
  if (texts[node->text_count] == NULL) return NP_NOMEM;
  node->text_count++;
  return NP_OK;
}

np_status np_graph_class(np_graph *graph, const char *pattern, size_t length) {
  np_status status = np_class_parse(&last(graph)->class, pattern, length);
  return status == NP_OK ? np_graph_text(graph, pattern, length) : status;
}

np_status np_graph_name(np_graph *graph, const char *label,
                        const char *declared) {
  np_node *node = last(graph);
  if (label != NULL) {
    node->label = copy_text(label, strlen(label));
    if (node->label == NULL) return NP_NOMEM;
  }
  if (declared != NULL) {
    node->declared = copy_text(declared, strlen(declared));
    if (node->declared == NULL) return NP_NOMEM;
  }
  return NP_OK;
}

const char *np_node_name(const np_node *node) {
  static const char *const names[] = {
      "",    "range",  "list",     "iter", "files",   "lines",  "words",
      "map", "filter", "flat_map", "take", "fan_out", "fan_in", "reduce",
      "sum", "count",  "count_by", "top",  "collect", "each",   "value"};
  if (node->label != NULL) return node->label;
  return node->kind < sizeof names / sizeof *names ? names[node->kind] : "?";
}

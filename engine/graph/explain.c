#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"
#include "graph/plan.h"

/* Text that grows; once an allocation has failed it stays as it is. */
typedef struct writer {
  char *text;
  size_t used, room;
  bool failed;
} writer;

static void put(writer *w, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void put(writer *w, const char *format, ...) {
  for (int round = 0; round < 2 && !w->failed; round++) {
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(w->room != 0 ? w->text + w->used : NULL,
                           w->room - w->used, format, arguments);
    va_end(arguments);
    if (w->used + (size_t)length < w->room) {
      w->used += (size_t)length;
      return;
    }
    size_t room = (w->used + (size_t)length + 1) * 2;
    char *text = np_realloc(w->text, room);
    w->failed = text == NULL;
    if (text == NULL) return;
    w->text = text;
    w->room = room;
  }
}

static const char *mode_text(uint8_t mode) {
  return mode == NP_PARTIAL   ? " (partial)"
         : mode == NP_COMBINE ? " (combine)"
                              : "";
}

static void put_node(writer *w, const np_graph *graph, uint32_t index) {
  const np_node *node = &graph->nodes[index];
  put(w, "%s", np_node_name(node));
  if (node->kind == NP_NODE_TAKE || node->kind == NP_NODE_TOP)
    put(w, " %.17g", node->numbers[0]);
  if (node->kind == NP_NODE_WORDS && node->text_count != 0)
    put(w, " %s", node->texts[0]);
}

static void put_source(writer *w, const np_plan_segment *segment,
                       const np_graph *graph) {
  const np_node *node = &graph->nodes[0];
  switch (segment->source) {
    case NP_SOURCE_RANGE:
      put(w, "range of %.17g", node->numbers[2]);
      if (segment->limit < node->numbers[2])
        put(w, " (at most %.17g)", segment->limit);
      break;
    case NP_SOURCE_FILES:
      put(w, "paths of files");
      break;
    case NP_SOURCE_BLOCKS:
      put(w, "text of files");
      break;
    case NP_SOURCE_EDGE:
      put(w, segment->reorders ? "edge, put in order" : "edge");
      break;
    default:
      put(w, "items made by Lua");
  }
  if (segment->source != NP_SOURCE_EDGE && segment->source != NP_SOURCE_LUA &&
      segment->instances > 1)
    put(w, ", split at the workers");
}

static void put_step(writer *w, const np_plan *plan, const np_graph *graph,
                     const np_plan_step *step) {
  if (!step->is_lua) {
    put(w, "\n    native  ");
    put_node(w, graph, step->node);
    put(w, "%s%s", mode_text(step->mode),
        step->over_text ? " of whole blocks" : "");
    if (step->top != 0) {
      put(w, " + ");
      put_node(w, graph, step->top);
    }
    return;
  }
  put(w, "\n    Lua     ");
  for (uint32_t i = 0; i < step->count; i++) {
    const np_plan_item *item = &plan->items[step->first + i];
    if (i != 0) put(w, " > ");
    put_node(w, graph, item->node);
    put(w, "%s", mode_text(item->mode));
  }
}

char *np_plan_explain(const np_plan *plan, const np_graph *graph) {
  writer w = {0};
  for (uint32_t s = 0; s < plan->segment_count; s++) {
    const np_plan_segment *segment = &plan->segments[s];
    put(&w, "%u  ", (unsigned)(s + 1));
    if (segment->pooled)
      put(&w, "%u task%s on the workers%s", (unsigned)segment->instances,
          segment->instances == 1 ? "" : "s",
          segment->ordered ? ", ordered" : "");
    else
      put(&w, "here, one task");
    put(&w, "\n    from    ");
    put_source(&w, segment, graph);
    for (uint32_t i = 0; i < segment->step_count; i++)
      put_step(&w, plan, graph, &plan->steps[segment->first_step + i]);
    if (s + 1 < plan->segment_count) put(&w, "\n    to      edge");
    put(&w, "\n");
  }
  if (w.failed) {
    np_free(w.text);
    return NULL;
  }
  return w.text;
}

#include "graph/plan.h"

#include "base/alloc.h"
#include "base/assert.h"

/* What is known of the items that flow at this point. */
typedef enum flow {
  FLOW_ANY,
  FLOW_NUMBERS,
  FLOW_BYTES,
  FLOW_PAIRS
} flow;

typedef struct planner {
  np_plan *plan;
  const np_graph *graph;
  uint32_t workers;
  flow flow;
  bool in_region, is_ordered;
  bool last_partial_is_lua; /* the combining half goes the same way */
} planner;

static np_plan_segment *segment(planner *p) {
  return &p->plan->segments[p->plan->segment_count - 1];
}

/* NULL while the segment has no step. */
static np_plan_step *last_step(planner *p) {
  return segment(p)->step_count != 0 ? &p->plan->steps[p->plan->step_count - 1]
                                     : NULL;
}

static np_plan_segment *begin_segment(planner *p, np_source source) {
  np_plan_segment *next = &p->plan->segments[p->plan->segment_count++];
  *next = (np_plan_segment){.instances = 1,
                            .source = (uint8_t)source,
                            .limit = 0x1p63,
                            .first_step = p->plan->step_count};
  return next;
}

static np_plan_step *add_step(planner *p) {
  np_plan_step *step = &p->plan->steps[p->plan->step_count++];
  *step = (np_plan_step){0};
  segment(p)->step_count++;
  return step;
}

static void add_lua(planner *p, uint32_t node, np_mode mode) {
  np_plan_step *step = last_step(p);
  if (step == NULL || !step->is_lua) {
    step = add_step(p);
    step->is_lua = true;
    step->first = p->plan->item_count;
  }
  p->plan->items[p->plan->item_count++] =
      (np_plan_item){(uint16_t)node, (uint8_t)mode};
  step->count++;
}

static void add_native(planner *p, uint32_t node, np_mode mode) {
  np_plan_step *step = add_step(p);
  step->kind = (uint8_t)p->graph->nodes[node].kind;
  step->mode = (uint8_t)mode;
  step->node = (uint16_t)node;
}

static void close_region(planner *p) {
  if (!p->in_region) return;
  bool ordered = p->is_ordered;
  begin_segment(p, NP_SOURCE_EDGE)->reorders = ordered;
  p->in_region = p->is_ordered = false;
}

/* A source that splits, with nothing but native per-item stages behind it, is
 * split at the workers: no edge before the region. */
static bool can_split(planner *p) {
  const np_plan_segment *now = segment(p);
  if (p->plan->segment_count != 1 || now->pooled ||
      now->source == NP_SOURCE_LUA)
    return false;
  for (uint32_t i = 0; i < now->step_count; i++) {
    const np_plan_step *step = &p->plan->steps[now->first_step + i];
    if (step->is_lua ||
        (step->kind != NP_NODE_LINES && step->kind != NP_NODE_WORDS))
      return false;
  }
  return true;
}

static void open_region(planner *p, const np_node *node) {
  close_region(p);
  if (!can_split(p)) begin_segment(p, NP_SOURCE_EDGE);
  np_plan_segment *region = segment(p);
  region->pooled = true;
  region->instances =
      node->numbers[0] >= 1 ? (uint32_t)node->numbers[0] : p->workers;
  region->window = node->numbers[1] >= 1 ? (uint32_t)node->numbers[1]
                                         : 4 * region->instances;
  if (region->window < region->instances) region->window = region->instances;
  region->ordered = (node->flags & NP_NODE_ORDERED) != 0;
  p->in_region = true;
  p->is_ordered = region->ordered;
}

static void add_lines(planner *p, uint32_t node) {
  np_plan_segment *now = segment(p);
  bool over_text = now->source == NP_SOURCE_FILES && now->step_count == 0;
  if (over_text) now->source = NP_SOURCE_BLOCKS;
  add_native(p, node, NP_WHOLE);
  last_step(p)->over_text = over_text;
  p->flow = FLOW_BYTES;
}

static void add_words(planner *p, uint32_t node) {
  np_plan_step *before = last_step(p);
  bool over_text =
      before != NULL && before->kind == NP_NODE_LINES && before->over_text;
  if (over_text) { /* Words need no lines: cut the block itself. */
    before->kind = NP_NODE_WORDS;
    before->node = (uint16_t)node;
  } else {
    add_native(p, node, NP_WHOLE);
  }
  p->flow = FLOW_BYTES;
}

/* Stages with both forms go where the step before them is. */
static bool wants_lua(planner *p, const np_node *node, np_mode mode) {
  np_plan_step *before = last_step(p);
  if (mode == NP_COMBINE) return p->last_partial_is_lua;
  switch (node->kind) {
    case NP_NODE_TAKE: /* It cannot cut what is encoded. */
      return before != NULL ? before->is_lua : p->flow == FLOW_ANY;
    case NP_NODE_COUNT:
      return before != NULL && before->is_lua;
    case NP_NODE_SUM:
      return p->flow != FLOW_NUMBERS || (before != NULL && before->is_lua);
    case NP_NODE_COUNT_BY:
      return p->flow != FLOW_BYTES;
    default:
      return true;
  }
}

static void add_either(planner *p, uint32_t node, np_mode mode) {
  bool lua = wants_lua(p, &p->graph->nodes[node], mode);
  if (lua)
    add_lua(p, node, mode);
  else
    add_native(p, node, mode);
  p->last_partial_is_lua = lua;
}

/* top(n) right behind a native count_by looks at the table itself. */
static bool fold_top(planner *p, uint32_t node) {
  np_plan_step *before = last_step(p);
  if (before == NULL || before->is_lua || before->kind != NP_NODE_COUNT_BY ||
      before->top != 0 || (p->graph->nodes[node].flags & NP_NODE_BY) != 0)
    return false;
  before->top = (uint16_t)node;
  return true;
}

static bool depends_on_order(const np_node *node) {
  return node->kind == NP_NODE_REDUCE || node->kind == NP_NODE_TOP;
}

static void add_reduction(planner *p, uint32_t index) {
  const np_node *node = &p->graph->nodes[index];
  bool splits = p->in_region && !(p->is_ordered && depends_on_order(node));
  if (node->kind == NP_NODE_REDUCE && !(node->flags & NP_NODE_COMBINES))
    splits = false;
  if (node->kind == NP_NODE_TOP && fold_top(p, index)) return;
  if (splits) {
    add_either(p, index, NP_PARTIAL);
    segment(p)->ordered = p->is_ordered = false; /* Partials have no order. */
    close_region(p);
    add_either(p, index, NP_COMBINE);
  } else {
    close_region(p);
    add_either(p, index, NP_WHOLE);
  }
  if (node->kind == NP_NODE_COUNT_BY)
    p->flow = FLOW_PAIRS;
  else if (node->kind == NP_NODE_REDUCE)
    p->flow = FLOW_ANY;
  else if (node->kind != NP_NODE_TOP)
    p->flow = FLOW_NUMBERS;
}

static void add_node(planner *p, uint32_t index) {
  const np_node *node = &p->graph->nodes[index];
  switch (node->kind) {
    case NP_NODE_FAN_OUT:
      open_region(p, node);
      break;
    case NP_NODE_FAN_IN:
      close_region(p);
      break;
    case NP_NODE_LINES:
      add_lines(p, index);
      break;
    case NP_NODE_WORDS:
      add_words(p, index);
      break;
    case NP_NODE_MAP:
    case NP_NODE_FLAT_MAP:
      p->flow = FLOW_ANY;
      add_lua(p, index, NP_WHOLE);
      break;
    case NP_NODE_FILTER:
      add_lua(p, index, NP_WHOLE);
      break;
    case NP_NODE_TAKE:
      close_region(p);
      add_either(p, index, NP_WHOLE);
      break;
    case NP_NODE_REDUCE:
    case NP_NODE_SUM:
    case NP_NODE_COUNT:
    case NP_NODE_COUNT_BY:
    case NP_NODE_TOP:
      add_reduction(p, index);
      break;
    default: /* collect, each, value: where the run was started */
      close_region(p);
      p->flow = FLOW_ANY;
      add_lua(p, index, NP_WHOLE);
  }
}

static void add_source(planner *p) {
  switch (p->graph->nodes[0].kind) {
    case NP_NODE_RANGE:
      begin_segment(p, NP_SOURCE_RANGE);
      p->flow = FLOW_NUMBERS;
      break;
    case NP_NODE_FILES:
      begin_segment(p, NP_SOURCE_FILES);
      p->flow = FLOW_BYTES;
      break;
    default:
      begin_segment(p, NP_SOURCE_LUA);
      add_lua(p, 0, NP_WHOLE);
      p->flow = FLOW_ANY;
  }
}

/* Through stages that give one item for one, a take tells the source how many
 * are wanted: it never makes one more. */
static void set_limit(planner *p) {
  const np_graph *graph = p->graph;
  for (uint32_t i = 1; i < graph->count; i++) {
    uint32_t kind = graph->nodes[i].kind;
    if (kind == NP_NODE_TAKE) {
      if (graph->nodes[i].numbers[0] < p->plan->segments[0].limit)
        p->plan->segments[0].limit = graph->nodes[i].numbers[0];
    } else if (kind != NP_NODE_MAP) {
      return;
    }
  }
}

static bool takes_nothing(const np_graph *graph, uint32_t node) {
  return graph->nodes[node].kind == NP_NODE_TAKE &&
         graph->nodes[node].numbers[0] < 1;
}

/* Whatever feeds a take(0) is never opened. */
static void skip_unwanted(planner *p) {
  np_plan *plan = p->plan;
  for (uint32_t s = plan->segment_count; s-- > 0;) {
    np_plan_segment *now = &plan->segments[s];
    if (s + 1 < plan->segment_count && plan->segments[s + 1].skipped)
      now->skipped = true;
    for (uint32_t i = 0; i < now->step_count; i++) {
      const np_plan_step *step = &plan->steps[now->first_step + i];
      if (!step->is_lua && takes_nothing(p->graph, step->node))
        now->skipped = true;
      for (uint32_t k = 0; k < step->count; k++)
        if (takes_nothing(p->graph, plan->items[step->first + k].node))
          now->skipped = true;
    }
  }
}

np_status np_plan_make(np_plan *plan, const np_graph *graph, uint32_t workers) {
  np_assert(graph->count != 0);
  *plan = (np_plan){0};
  /* A reduction is in two segments at most, and ends one. */
  size_t most = 2 * (size_t)graph->count + 2;
  if (most > UINT16_MAX) return NP_LIMIT;
  plan->segments = np_alloc(most * sizeof *plan->segments);
  plan->steps = np_alloc(most * sizeof *plan->steps);
  plan->items = np_alloc(most * sizeof *plan->items);
  if (plan->segments == NULL || plan->steps == NULL || plan->items == NULL) {
    np_plan_free(plan);
    return NP_NOMEM;
  }
  planner p = {.plan = plan,
               .graph = graph,
               .workers = workers != 0 ? workers : 1};
  add_source(&p);
  for (uint32_t i = 1; i < graph->count; i++) add_node(&p, i);
  /* What a region ends with is for whoever started the run. */
  close_region(&p);
  set_limit(&p);
  skip_unwanted(&p);
  return NP_OK;
}

void np_plan_free(np_plan *plan) {
  np_free(plan->segments);
  np_free(plan->steps);
  np_free(plan->items);
  *plan = (np_plan){0};
}

#include "csp/context.h"

#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/barrier.h"

static void context_free(np_object *object);
static int32_t context_ready(np_object *object) {
  np_context *context = np_container_of(object, np_context, object);
  return np_context_state(context) != NP_OK ? NP_OK : NP_AGAIN;
}

static const np_object_kind context_kind = {"context", 2, context_free,
                                            context_ready};

static void fire_deadline(np_timer *timer, np_waker *me) {
  np_context *context = np_container_of(timer, np_context, timer);
  np_value cause = np_value_copy(&context->timeout_cause);
  np_context_end(me, context, NP_TIMEOUT, cause);
}

static np_pool *new_pool(void) {
  np_pool *pool = np_alloc(sizeof *pool);
  if (pool != NULL) np_pool_init(pool, sizeof(np_context));
  return pool;
}

/* The root takes the pool with it: it keeps every context that came from it. */
static void give_back(np_context *context) {
  np_pool *pool = context->pool;
  bool is_root = context->parent == NULL;
  np_pool_give(pool, context);
  if (!is_root) return;
  np_pool_clear(pool);
  np_free(pool);
}

static np_context *new_context(np_context *parent) {
  np_pool *pool = parent != NULL ? parent->pool : new_pool();
  if (pool == NULL) return NULL;
  np_context *context = np_pool_take(pool);
  if (context == NULL) {
    if (parent == NULL) np_free(pool);
    return NULL;
  }
  context->pool = pool;
  np_object_init(&context->object, &context_kind);
  np_list_init(&context->children);
  np_list_init(&context->members);
  np_list_init(&context->daemon_list);
  atomic_init(&context->state, NP_OK);
  context->deadline = parent != NULL ? parent->deadline : NP_NEVER;
  context->timer.fire = fire_deadline;
  context->timer.owner = &context->object;
  if (parent != NULL) {
    np_object_retain(&parent->object);
    context->parent = parent;
  }
  return context;
}

/* Links into the parent, or ends at once with the parent's end. */
static void attach(np_context *context) {
  np_context *parent = context->parent;
  if (parent == NULL) return;
  np_lock_take(&parent->object.lock);
  int32_t state = np_context_state(parent);
  if (state == NP_OK && !context->detached) {
    np_list_push(&parent->children, &context->in_parent);
    parent->child_count++;
  }
  np_lock_leave(&parent->object.lock);
  if (state != NP_OK && !context->detached) {
    context->cause = np_value_copy(&parent->cause);
    atomic_store_explicit(&context->state, state, memory_order_release);
  }
}

np_context *np_context_open(np_waker *me, np_context *parent) {
  (void)me;
  np_context *context = new_context(parent);
  if (context != NULL) attach(context);
  return context;
}

np_context *np_context_open_detached(np_waker *me, np_context *parent) {
  (void)me;
  np_context *context = new_context(parent);
  if (context == NULL) return NULL;
  context->detached = true;
  context->deadline = NP_NEVER;
  return context;
}

np_context *np_context_open_until(np_waker *me, np_context *parent,
                                  int64_t deadline, np_value cause) {
  np_context *context = new_context(parent);
  if (context == NULL) {
    np_value_drop(&cause);
    return NULL;
  }
  context->timeout_cause = cause;
  bool sooner = deadline < context->deadline;
  bool passed = sooner && deadline <= np_timers_now(me->timers);
  if (sooner) context->deadline = deadline;
  /* Armed before its parent knows it: an end from there finds the timer. */
  if (sooner && !passed &&
      np_timer_arm(me->timers, &context->timer, deadline) != NP_OK) {
    np_object_release(&context->object);
    return NULL;
  }
  attach(context);
  if (np_context_state(context) != NP_OK)
    np_timer_disarm(&context->timer);
  else if (passed)
    fire_deadline(&context->timer, me);
  return context;
}

np_context *np_context_open_value(np_waker *me, np_context *parent,
                                  np_value key, np_value value) {
  np_context *context = np_context_open(me, parent);
  if (context == NULL) {
    np_value_drop(&key);
    np_value_drop(&value);
    return NULL;
  }
  context->key = key;
  context->value = value;
  return context;
}

static void detach(np_context *context) {
  np_context *parent = context->parent;
  if (parent == NULL) return;
  np_lock_take(&parent->object.lock);
  if (np_link_linked(&context->in_parent)) {
    np_list_remove(&context->in_parent);
    parent->child_count--;
  }
  np_lock_leave(&parent->object.lock);
}

static void context_free(np_object *object) {
  /* A chain of dying parents is walked, not recursed into. */
  while (object != NULL) {
    np_context *context = np_container_of(object, np_context, object);
    if (np_object_orphan(object)) return;
    np_assert(np_list_empty(&context->members));
    np_timer_disarm(&context->timer);
    detach(context);
    np_context *parent = context->parent;
    np_value_drop(&context->cause);
    np_value_drop(&context->error);
    np_value_drop(&context->timeout_cause);
    np_value_drop(&context->key);
    np_value_drop(&context->value);
    give_back(context);
    object = NULL;
    if (parent != NULL && atomic_fetch_sub_explicit(&parent->object.refs, 1,
                                                    memory_order_acq_rel) == 1)
      object = &parent->object;
  }
}

/* Under the lock: the children move to the list of those that end next, each
 * with a reference, so that none dies before its turn. */
static void take_children(np_context *context, np_context **ending) {
  np_link *link;
  np_link *end = &context->children.head;
  for (link = end->next; link != end;) {
    np_context *child = np_container_of(link, np_context, in_parent);
    link = link->next;
    if (!np_object_try_retain(&child->object)) continue; /* Takes itself out. */
    np_list_remove(&child->in_parent);
    context->child_count--;
    child->next_ending = *ending;
    *ending = child;
  }
}

/* Claims the members that are parked and adds them to *claimed; tells the
 * others. True if one of another worker seemed to run. */
static bool claim_round(np_waker *me, np_context *context,
                        np_waiter **claimed) {
  bool unsure = false;
  np_link *end = &context->members.head;
  for (np_link *link = end->prev; link != end; link = link->prev) {
    np_waiter *waiter = np_container_of(link, np_waiter, member);
    if (waiter->deaf) continue; /* Its scope's wait tells it in the end. */
    if (np_waiter_claim(waiter)) {
      waiter->code = NP_CANCELED;
      waiter->next = *claimed;
      *claimed = waiter;
    } else {
      unsure |= waiter->waker != me;
      np_waker_call(waiter->waker);
    }
  }
  return unsure;
}

/* Under the lock. A member of another worker may have parked just before it
 * could see the new state: after a barrier in all threads we see that it has,
 * or it will see the state. */
static np_waiter *claim_members(np_waker *me, np_context *context) {
  np_waiter *claimed = NULL;
  if (!claim_round(me, context, &claimed)) return claimed;
  np_barrier_all();
  claim_round(me, context, &claimed);
  return claimed;
}

/* Ends this one context. False if it had ended before. */
static bool end_one(np_waker *me, np_context *context, int32_t state,
                    np_value *cause, np_context **ending) {
  np_lock_take(&context->object.lock);
  if (np_context_state(context) != NP_OK) {
    np_lock_leave(&context->object.lock);
    return false;
  }
  context->cause = np_value_copy(cause);
  /* seq_cst: stored before the claims below are tried; see waiter.h. */
  atomic_store_explicit(&context->state, state, memory_order_seq_cst);
  take_children(context, ending);
  bool waited_on = context->object.enlisted != 0; /* No later one will park. */
  np_waiter *claimed = claim_members(me, context);
  np_lock_leave(&context->object.lock);

  while (claimed != NULL) {
    np_waiter *next = claimed->next;
    np_wake(me, claimed);
    claimed = next;
  }
  if (waited_on) np_object_wake_all(me, &context->object, NP_OK);
  np_timer_disarm(&context->timer);
  context->timer.heap = NULL; /* A handle may outlive the engine's heaps. */
  return true;
}

bool np_context_end(np_waker *me, np_context *context, int32_t state,
                    np_value cause) {
  np_context *ending = NULL;
  bool ended = end_one(me, context, state, &cause, &ending);
  if (ended) detach(context);
  while (ending != NULL) {
    np_context *child = ending;
    ending = child->next_ending;
    end_one(me, child, state, &cause, &ending);
    np_object_release(&child->object);
  }
  np_value_drop(&cause);
  return ended;
}

void np_context_join(np_context *context, np_waiter *waiter) {
  np_context_quit(waiter);
  np_lock_take(&context->object.lock);
  np_list_push(&context->members, &waiter->member);
  waiter->context = context;
  bool ended = np_context_state(context) != NP_OK;
  np_lock_leave(&context->object.lock);
  if (ended) np_waker_call(waiter->waker);
}

void np_context_quit(np_waiter *waiter) {
  np_context *context = waiter->context;
  if (context == NULL) return;
  np_lock_take(&context->object.lock);
  np_list_remove(&waiter->member);
  waiter->context = NULL;
  /* It died in the middle of its scope's wait. */
  if (context->joiner == waiter) context->joiner = NULL;
  np_lock_leave(&context->object.lock);
}

bool np_value_equal(const np_value *a, const np_value *b) {
  if (a->tag != b->tag) return false;
  switch (a->tag) {
    case NP_NUMBER:
      return a->as.number == b->as.number;
    case NP_SHORT:
      return a->length == b->length &&
             memcmp((const char *)a + 2, (const char *)b + 2, a->length) == 0;
    case NP_STRING:
    case NP_ENCODED:
      return a->as.blob->length == b->as.blob->length &&
             memcmp(np_blob_bytes(a->as.blob), np_blob_bytes(b->as.blob),
                    (size_t)a->as.blob->length) == 0;
    case NP_HANDLE:
      return a->as.object == b->as.object;
    default:
      return true;
  }
}

const np_value *np_context_lookup(const np_context *context,
                                  const np_value *key) {
  for (; context != NULL; context = context->parent)
    if (context->key.tag != NP_NOTHING && np_value_equal(&context->key, key))
      return &context->value;
  return NULL;
}

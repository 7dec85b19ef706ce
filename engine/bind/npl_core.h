/* npl_core.h - tasks, scopes, contexts, channels and select as Lua calls them.
 * All take the caller's own worker first (its front; Lua has the pointer) and
 * run on that worker's thread. Arguments are scalars or pointers, results are
 * np_status, a slot (>= 0), or a pointer that the caller owns. None calls into
 * Lua. Hot ones are thin: the bodies of csp are inlined here. */
#ifndef NP_BIND_NPL_CORE_H
#define NP_BIND_NPL_CORE_H
#include "csp/select.h"
#include "sched/engine.h"

#pragma GCC visibility push(default)
/* cdef:begin */
typedef struct np_context np_context;
typedef struct np_channel np_channel;
typedef struct np_outcome np_outcome;
typedef struct np_select np_select;
typedef struct np_bubble np_bubble;

/* Engine. */
const char *npl_cdef(void); /* declared by hand in lua/neap/ffi.lua */
uint32_t npl_workers(np_front *w);
uint32_t npl_number(np_front *w);
uint32_t npl_cpus(void);
int32_t npl_output_failed(void);
void npl_broken_pipe(np_front *w);
bool npl_is_outside(np_front *w);
double npl_now(np_front *w);
double npl_stat(np_front *w, int which);

void npl_main(np_front *w, bool waits);

/* Tasks. npl_go: a slot, or NP_NOMEM; front.generation is filled. */
int32_t npl_go(np_front *w, uint32_t options);
void npl_end_outcome(np_front *w, uint32_t slot, int32_t state,
                     bool with_result);
void npl_end(np_front *w, uint32_t slot, int32_t state);
int32_t npl_finish(np_front *w, uint32_t slot);
uint32_t npl_slot(np_front *w);
void npl_give_slot(np_front *w, uint32_t slot);
int32_t npl_again(np_front *w, uint32_t slot);
bool npl_is_live(np_front *w, uint32_t slot, uint32_t generation);
double npl_task_id(np_front *w, uint32_t slot);
double npl_task_parent(np_front *w, uint32_t slot);
uint32_t npl_task_options(np_front *w, uint32_t slot);
int32_t npl_task_waits(np_front *w, uint32_t slot);
const char *npl_task_waits_on(np_front *w, uint32_t slot);
uint32_t npl_task_high(np_front *w);
np_outcome *npl_outcome(np_front *w, uint32_t slot, uint32_t generation);
np_outcome *npl_outcome_self(np_front *w);
np_outcome *npl_spawn(np_front *w, uint32_t options, uint32_t worker);
int32_t npl_payload(np_front *w, uint32_t slot);
int32_t npl_outcome_wait(np_front *w, np_outcome *outcome);
int32_t npl_outcome_state(np_outcome *outcome);
double npl_outcome_id(np_outcome *outcome);
int32_t npl_outcome_result(np_front *w, np_outcome *outcome);
int32_t npl_outcome_cancel(np_front *w, np_outcome *outcome);
bool npl_outcome_shared(np_outcome *outcome);
void npl_outcome_share(np_outcome *outcome);
int32_t npl_join_slot(np_front *w, uint32_t slot, uint32_t generation);
int32_t npl_yield(np_front *w);
int32_t npl_sleep(np_front *w, double seconds);
int32_t npl_limit(np_front *w, int32_t status, double seconds);
int32_t npl_check(np_front *w);
bool npl_shield(np_front *w, bool on);
bool npl_canceled(np_front *w);
bool npl_must_end(np_front *w);

/* Scopes and contexts. */
np_context *npl_current(np_front *w);
np_context *npl_root(np_front *w);
np_context *npl_scope_open(np_front *w, np_context *parent);
void npl_scope_enter(np_front *w, np_context *scope);
void npl_scope_leave(np_front *w, np_context *scope, np_context *outer);
int32_t npl_scope_wait(np_front *w, np_context *scope);
bool npl_scope_fail(np_front *w, np_context *scope);
bool npl_scope_fail_slot(np_front *w, np_context *scope, uint32_t slot);
void npl_root_fail(np_front *w);
int32_t npl_scope_error(np_front *w, np_context *scope);
bool npl_scope_is_home(np_front *w, np_context *scope);
np_context *npl_task_scope(np_front *w, uint32_t slot);
np_context *npl_context_until(np_front *w, np_context *parent, double at);
np_context *npl_context_value(np_front *w, np_context *parent);
np_context *npl_context_detached(np_front *w, np_context *parent);
bool npl_context_cancel(np_front *w, np_context *context);
int32_t npl_context_state(np_context *context);
int32_t npl_context_cause(np_front *w, np_context *context);
int32_t npl_cause(np_front *w);
double npl_context_deadline(np_context *context);
int32_t npl_context_lookup(np_front *w, np_context *context);
uint32_t npl_context_children(np_context *context);
void npl_context_key(np_front *w);

/* Channels. Slots as in csp/channel.h. */
np_channel *npl_channel_open(np_front *w, uint32_t capacity, int32_t overflow,
                             bool shared);
int32_t npl_channel_send(np_front *w, np_channel *channel);
int32_t npl_channel_try_send(np_front *w, np_channel *channel);
int32_t npl_channel_recv(np_front *w, np_channel *channel);
int32_t npl_channel_try_recv(np_front *w, np_channel *channel);
int32_t npl_channel_send_number(np_front *w, np_channel *channel, double v);
int32_t npl_channel_send_string(np_front *w, np_channel *channel,
                                const char *bytes, size_t length);
int32_t npl_channel_send_staged(np_front *w, np_channel *channel, bool wait);
int32_t npl_channel_close(np_front *w, np_channel *channel);
bool npl_channel_is_closed(np_channel *channel);
bool npl_channel_is_shared(np_channel *channel);
uint32_t npl_channel_len(np_channel *channel);
uint32_t npl_channel_capacity(np_channel *channel);
double npl_channel_dropped(np_channel *channel);
uint32_t npl_channel_slots(np_channel *channel, uint32_t *out, uint32_t room);
int32_t npl_channel_promote(np_front *w, np_channel *channel);
bool npl_promote_begin(np_front *w, uint32_t count);
void npl_promote_add(np_front *w);
void npl_promote_abandon(np_front *w);

/* Select. */
np_select *npl_select_open(uint32_t count);
void npl_select_free(np_select *select);
void npl_select_set(np_select *select, uint32_t at, np_object *object,
                    bool sends);
void npl_select_stage(np_front *w, np_select *select, uint32_t at);
int32_t npl_select_run(np_front *w, np_select *select, bool wait);
uint32_t npl_select_slot(np_select *select, uint32_t at);
uint32_t npl_select_left(np_select *select, uint32_t at);

/* A value on its way out: put exactly one, then the call that sends it. */
void npl_put_nothing(np_front *w);
void npl_put_boolean(np_front *w, bool v);
void npl_put_null(np_front *w);
void npl_put_number(np_front *w, double v);
int32_t npl_put_string(np_front *w, const char *bytes, size_t length);
int32_t npl_put_handle(np_front *w, np_object *object);
int32_t npl_add_handle(np_front *w, np_object *object);
void npl_drop_handles(np_front *w);
int32_t npl_put_encoded(np_front *w, const char *bytes, size_t length);

/* The value that came (front.received). */
const char *npl_received_bytes(np_front *w);
size_t npl_received_length(np_front *w);
uint32_t npl_received_handles(np_front *w);
np_object *npl_received_handle(np_front *w, uint32_t at);
np_object *npl_received_object(np_front *w);
void npl_received_drop(np_front *w);
uint32_t npl_object_kind(np_object *object);
uint32_t npl_keep(np_front *w, np_object *object);
void npl_unkeep(np_front *w, uint32_t id);
uint32_t npl_kept_high(np_front *w);
void npl_object_retain(np_object *object);
void npl_object_release(np_object *object);

/* Bubbles and seeds. */
np_bubble *npl_bubble_enter(np_front *w, double seed);
void npl_bubble_over(np_front *w, np_bubble *bubble);
void npl_bubble_leave(np_front *w, np_bubble *bubble);
int32_t npl_settle(np_front *w);
bool npl_in_bubble(np_front *w);
void npl_seed(np_front *w, double seed, bool shuffle);
uint32_t npl_random(np_front *w, uint32_t below);
/* cdef:end */
#pragma GCC visibility pop

static inline np_waker *npl_me(np_front *w) { return (np_waker *)(void *)w; }
static inline np_worker *npl_worker(np_front *w) {
  return (np_worker *)(void *)w;
}
/* What was put, now the caller's. */
np_value npl_take_staged(np_front *w);

#endif

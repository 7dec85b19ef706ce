#include "base/alloc.h"
#include "bind/npl_core.h"

np_channel *npl_channel_open(np_front *w, uint32_t capacity, int32_t overflow,
                             bool shared) {
  np_channel *channel =
      np_channel_open(capacity, (np_overflow)overflow, shared);
  if (channel != NULL) channel->home = npl_worker(w)->number;
  return channel;
}

int32_t npl_channel_send(np_front *w, np_channel *channel) {
  return np_channel_send_slot(npl_me(w), channel, true);
}

int32_t npl_channel_try_send(np_front *w, np_channel *channel) {
  return np_channel_send_slot(npl_me(w), channel, false);
}

int32_t npl_channel_recv(np_front *w, np_channel *channel) {
  return np_channel_recv(npl_me(w), channel, true);
}

int32_t npl_channel_try_recv(np_front *w, np_channel *channel) {
  return np_channel_recv(npl_me(w), channel, false);
}

/* Sends and, if that failed, drops what nobody took. */
static int32_t send_value(np_front *w, np_channel *channel, np_value *value,
                          bool wait) {
  int32_t status = np_channel_send(npl_me(w), channel, value, wait);
  if (status < 0 && status != NP_PARKED && status != NP_PUMP)
    np_value_drop(value);
  return status;
}

int32_t npl_channel_send_number(np_front *w, np_channel *channel, double v) {
  np_value value = np_value_number(v);
  return np_channel_send(npl_me(w), channel, &value, true);
}

int32_t npl_channel_send_string(np_front *w, np_channel *channel,
                                const char *bytes, size_t length) {
  np_value value;
  if (np_value_string(&value, bytes, length) != NP_OK) return NP_NOMEM;
  return send_value(w, channel, &value, true);
}

int32_t npl_channel_send_staged(np_front *w, np_channel *channel, bool wait) {
  np_value value = npl_take_staged(w);
  return send_value(w, channel, &value, wait);
}

int32_t npl_channel_close(np_front *w, np_channel *channel) {
  return np_channel_close(npl_me(w), channel);
}

bool npl_channel_is_closed(np_channel *channel) {
  return np_channel_is_closed(channel);
}

bool npl_channel_is_shared(np_channel *channel) { return channel->shared; }

uint32_t npl_channel_len(np_channel *channel) {
  return np_channel_len(channel);
}

uint32_t npl_channel_capacity(np_channel *channel) { return channel->capacity; }

double npl_channel_dropped(np_channel *channel) {
  np_channel_lock(channel);
  double dropped = (double)channel->dropped;
  np_channel_unlock(channel);
  return dropped;
}

uint32_t npl_channel_slots(np_channel *channel, uint32_t *out, uint32_t room) {
  return np_channel_slots(channel, out, room);
}

/* The messages that will take the slots' place, gathered one by one. */
bool npl_promote_begin(np_front *w, uint32_t count) {
  np_worker *worker = npl_worker(w);
  npl_promote_abandon(w);
  worker->promoted = np_alloc(count * sizeof *worker->promoted);
  return worker->promoted != NULL;
}

void npl_promote_add(np_front *w) {
  np_worker *worker = npl_worker(w);
  worker->promoted[worker->promoted_count++] = npl_take_staged(w);
}

void npl_promote_abandon(np_front *w) {
  np_worker *worker = npl_worker(w);
  for (uint32_t i = 0; i < worker->promoted_count; i++)
    np_value_drop(&worker->promoted[i]);
  np_free(worker->promoted);
  worker->promoted = NULL;
  worker->promoted_count = 0;
}

int32_t npl_channel_promote(np_front *w, np_channel *channel) {
  np_worker *worker = npl_worker(w);
  np_channel_promote(npl_me(w), channel, worker->promoted);
  worker->promoted_count = 0; /* They are the channel's now. */
  npl_promote_abandon(w);
  return NP_OK;
}

np_select *npl_select_open(uint32_t count) { return np_select_open(count); }

void npl_select_free(np_select *select) { np_select_free(select); }

void npl_select_set(np_select *select, uint32_t at, np_object *object,
                    bool sends) {
  np_select_set(select, at, object, sends);
}

void npl_select_stage(np_front *w, np_select *select, uint32_t at) {
  np_value_drop(&select->cases[at].value);
  select->cases[at].value = npl_take_staged(w);
}

int32_t npl_select_run(np_front *w, np_select *select, bool wait) {
  return np_select_run(npl_me(w), select, wait);
}

uint32_t npl_select_slot(np_select *select, uint32_t at) {
  return np_select_slot(select, at);
}

uint32_t npl_select_left(np_select *select, uint32_t at) {
  return np_select_left(select, at);
}

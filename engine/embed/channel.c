#include <string.h>

#include "base/alloc.h"
#include "embed/encoding.h"
#include "embed/host.h"
#include "sched/doze.h"
#include "sched/names.h"

struct neap_channel {
  neap_engine *engine; /* a reference */
  np_channel *channel; /* a reference */
  np_value received;   /* lent until the next receive */
};

int neap_channel_open(neap_engine *engine, const char *name, uint32_t capacity,
                      neap_channel **out) {
  if (name == NULL || out == NULL) return NEAP_ARGUMENT;
  *out = NULL;
  int status = np_host_enter(engine);
  if (status != NEAP_OK) return status;
  neap_channel *channel = np_alloc_zero(sizeof *channel);
  status = NEAP_MEMORY;
  if (channel != NULL)
    status = np_host_status(
        np_names_open(engine->core, name, capacity, &channel->channel));
  if (status == NEAP_OK) {
    np_host_retain(engine);
    channel->engine = engine;
    *out = channel;
  } else {
    np_free(channel);
  }
  np_host_leave(engine);
  return status;
}

int neap_channel_try_send(neap_channel *channel, const neap_value *value) {
  if (channel == NULL) return NEAP_CLOSED;
  if (value == NULL) return NEAP_ARGUMENT;
  int status = np_host_enter(channel->engine);
  if (status != NEAP_OK) return status;
  np_waker *me = &channel->engine->worker->waker;
  np_value message;
  int32_t result = np_value_from_host(&message, value);
  if (result == NP_OK) {
    result = np_channel_send(me, channel->channel, &message, false);
    if (result != NP_OK) np_value_drop(&message);
  }
  np_host_leave(channel->engine);
  return np_host_status(result);
}

int neap_channel_try_recv(neap_channel *channel, neap_value *value) {
  if (channel == NULL) return NEAP_CLOSED;
  if (value == NULL) return NEAP_ARGUMENT;
  int status = np_host_enter(channel->engine);
  if (status != NEAP_OK) return status;
  np_waker *me = &channel->engine->worker->waker;
  np_value_drop(&channel->received);
  int32_t result = np_channel_recv(me, channel->channel, false);
  if (result == NP_MESSAGE) {
    channel->received = me->front.received;
    me->front.received.tag = NP_NOTHING;
    np_value_to_host(&channel->received, value);
    result = NP_OK;
  }
  np_host_leave(channel->engine);
  return np_host_status(result);
}

int neap_channel_close(neap_channel *channel) {
  if (channel == NULL) return NEAP_CLOSED;
  int status = np_host_enter(channel->engine);
  if (status != NEAP_OK) return status;
  int32_t result =
      np_channel_close(&channel->engine->worker->waker, channel->channel);
  np_host_leave(channel->engine);
  return np_host_status(result);
}

void neap_channel_release(neap_channel *channel) {
  if (channel == NULL) return;
  np_value_drop(&channel->received);
  np_object_release(&channel->channel->object);
  np_host_drop(channel->engine);
  np_free(channel);
}

#include "sched/names.h"

#include <string.h>

#include "base/alloc.h"

typedef struct named {
  struct named *next;
  np_channel *channel;
  char name[NP_NAME_MAX];
} named;

static named *find(np_engine *engine, const char *name, uint32_t *count) {
  *count = 0;
  for (named *at = engine->names; at != NULL; at = at->next, (*count)++)
    if (strcmp(at->name, name) == 0) return at;
  return NULL;
}

static np_status add(np_engine *engine, const char *name, uint32_t capacity,
                     named **out) {
  named *fresh = np_alloc_zero(sizeof *fresh);
  if (fresh == NULL) return NP_NOMEM;
  fresh->channel = np_channel_open(capacity, NP_BLOCK, true);
  if (fresh->channel == NULL) {
    np_free(fresh);
    return NP_NOMEM;
  }
  memcpy(fresh->name, name, strlen(name) + 1);
  fresh->next = engine->names;
  engine->names = fresh;
  *out = fresh;
  return NP_OK;
}

np_status np_names_open(np_engine *engine, const char *name, uint32_t capacity,
                        np_channel **out) {
  *out = NULL;
  size_t length = strlen(name);
  if (length == 0 || length >= NP_NAME_MAX || capacity > NP_CAPACITY_MAX)
    return NP_RANGE;
  np_lock_take(&engine->names_lock);
  uint32_t count;
  named *found = find(engine, name, &count);
  np_status status = NP_OK;
  if (found == NULL)
    status =
        count < NP_NAMES_MAX ? add(engine, name, capacity, &found) : NP_LIMIT;
  if (status == NP_OK) {
    np_object_retain(&found->channel->object);
    *out = found->channel;
  }
  np_lock_leave(&engine->names_lock);
  return status;
}

void np_names_free(np_engine *engine) {
  np_lock_take(&engine->names_lock);
  named *at = engine->names;
  engine->names = NULL;
  np_lock_leave(&engine->names_lock);
  while (at != NULL) {
    named *next = at->next;
    np_object_release(&at->channel->object);
    np_free(at);
    at = next;
  }
}

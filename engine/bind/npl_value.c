#include "base/alloc.h"
#include "bind/npl_core.h"

np_value npl_take_staged(np_front *w) {
  np_worker *worker = npl_worker(w);
  np_value value = worker->staged;
  worker->staged.tag = NP_NOTHING;
  return value;
}

static void put(np_front *w, np_value value) {
  np_worker *worker = npl_worker(w);
  np_value_drop(&worker->staged);
  worker->staged = value;
}

void npl_put_nothing(np_front *w) { put(w, (np_value){.tag = NP_NOTHING}); }

void npl_put_boolean(np_front *w, bool v) {
  put(w, (np_value){.tag = v ? NP_TRUE : NP_FALSE});
}

void npl_put_null(np_front *w) { put(w, (np_value){.tag = NP_NULL}); }

void npl_put_number(np_front *w, double v) { put(w, np_value_number(v)); }

int32_t npl_put_string(np_front *w, const char *bytes, size_t length) {
  np_value value;
  if (np_value_string(&value, bytes, length) != NP_OK) return NP_NOMEM;
  put(w, value);
  return NP_OK;
}

/* Takes over the caller's reference. */
int32_t npl_put_handle(np_front *w, np_object *object) {
  put(w, (np_value){.tag = NP_HANDLE, .as.object = object});
  return NP_OK;
}

/* Takes over the caller's reference, unless there is no memory. */
int32_t npl_add_handle(np_front *w, np_object *object) {
  np_worker *worker = npl_worker(w);
  if (worker->staged_count == worker->staged_capacity) {
    uint32_t capacity =
        worker->staged_capacity != 0 ? worker->staged_capacity * 2 : 8;
    np_object **handles =
        np_realloc(worker->staged_handles, capacity * sizeof(np_object *));
    if (handles == NULL) return NP_NOMEM;
    worker->staged_handles = handles;
    worker->staged_capacity = capacity;
  }
  worker->staged_handles[worker->staged_count++] = object;
  return NP_OK;
}

void npl_drop_handles(np_front *w) {
  np_worker *worker = npl_worker(w);
  while (worker->staged_count != 0)
    np_object_release(worker->staged_handles[--worker->staged_count]);
}

int32_t npl_put_encoded(np_front *w, const char *bytes, size_t length) {
  np_worker *worker = npl_worker(w);
  np_value value;
  if (np_value_encoded(&value, bytes, length, worker->staged_handles,
                       worker->staged_count) != NP_OK) {
    npl_drop_handles(w);
    return NP_NOMEM;
  }
  worker->staged_count = 0; /* The value has them. */
  put(w, value);
  return NP_OK;
}

const char *npl_received_bytes(np_front *w) {
  np_value *value = &w->received;
  if (value->tag == NP_SHORT) return (const char *)value + 2;
  return np_blob_bytes(value->as.blob);
}

size_t npl_received_length(np_front *w) {
  const np_value *value = &w->received;
  return value->tag == NP_SHORT ? value->length
                                : (size_t)value->as.blob->length;
}

uint32_t npl_received_handles(np_front *w) {
  return w->received.tag == NP_ENCODED ? w->received.as.blob->handle_count : 0;
}

/* A reference of the caller's own. */
np_object *npl_received_handle(np_front *w, uint32_t at) {
  np_object *object = w->received.as.blob->handles[at];
  np_object_retain(object);
  return object;
}

/* The value's reference is the caller's now. */
np_object *npl_received_object(np_front *w) {
  np_object *object = w->received.as.object;
  w->received.tag = NP_NOTHING;
  return object;
}

void npl_received_drop(np_front *w) { np_value_drop(&w->received); }

uint32_t npl_object_kind(np_object *object) { return object->kind->number; }
void npl_object_retain(np_object *object) { np_object_retain(object); }
void npl_object_release(np_object *object) { np_object_release(object); }

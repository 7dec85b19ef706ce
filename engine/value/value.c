#include "value/value.h"

#include <string.h>

#include "base/alloc.h"

np_blob *np_blob_new(const void *bytes, uint64_t length, np_object **handles,
                     uint32_t handle_count) {
  size_t head = sizeof(np_blob) + handle_count * sizeof(np_object *);
  if (length > SIZE_MAX - head) return NULL;
  np_blob *blob = np_alloc(head + (size_t)length);
  if (blob == NULL) return NULL;
  atomic_init(&blob->refs, 1);
  blob->handle_count = handle_count;
  blob->length = length;
  if (handle_count != 0)
    memcpy(blob->handles, handles, handle_count * sizeof *handles);
  if (length != 0) memcpy(np_blob_bytes(blob), bytes, (size_t)length);
  return blob;
}

void np_blob_release(np_blob *blob) {
  /* Release on the way down, acquire for the last one, as for objects. */
  if (atomic_fetch_sub_explicit(&blob->refs, 1, memory_order_acq_rel) != 1)
    return;
  for (uint32_t i = 0; i < blob->handle_count; i++)
    np_object_release(blob->handles[i]);
  np_free(blob);
}

np_status np_value_string(np_value *out, const char *bytes, uint64_t length) {
  *out = (np_value){.tag = NP_NOTHING};
  if (length <= NP_SHORT_MAX) {
    out->tag = NP_SHORT;
    out->length = (uint8_t)length;
    if (length != 0) memcpy((char *)out + 2, bytes, (size_t)length);
    return NP_OK;
  }
  out->as.blob = np_blob_new(bytes, length, NULL, 0);
  if (out->as.blob == NULL) return NP_NOMEM;
  out->tag = NP_STRING;
  return NP_OK;
}

np_status np_value_encoded(np_value *out, const char *bytes, uint64_t length,
                           np_object **handles, uint32_t handle_count) {
  *out = (np_value){.tag = NP_NOTHING};
  out->as.blob = np_blob_new(bytes, length, handles, handle_count);
  if (out->as.blob == NULL) return NP_NOMEM;
  out->tag = NP_ENCODED;
  return NP_OK;
}

void np_value_drop(np_value *value) {
  switch (value->tag) {
    case NP_STRING:
    case NP_ENCODED:
      np_blob_release(value->as.blob);
      break;
    case NP_HANDLE:
    case NP_CHUNK:
      np_object_release(value->as.object);
      break;
    default:
      break;
  }
  value->tag = NP_NOTHING;
}

np_value np_value_copy(const np_value *value) {
  switch (value->tag) {
    case NP_STRING:
    case NP_ENCODED:
      np_blob_retain(value->as.blob);
      break;
    case NP_HANDLE:
    case NP_CHUNK:
      np_object_retain(value->as.object);
      break;
    default:
      break;
  }
  return *value;
}

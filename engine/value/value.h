/* value.h - one datum, 16 bytes: what a channel's ring, a parked sender or a
 * mailbox carries.
 * On a channel that one worker uses, a value is a slot number in that worker's
 * value table and nothing is copied. What travels is a scalar, a short string
 * held inside, a counted blob (longer strings and encoded tables, with the
 * handles they contain) or a counted object. A value owns what it points to:
 * np_value_drop gives that up. */
#ifndef NP_VALUE_VALUE_H
#define NP_VALUE_VALUE_H
#include <stdatomic.h>
#include <stdint.h>

#include "base/object.h"
#include "base/status.h"

/* cdef:begin */
typedef enum np_tag {
  NP_NOTHING = 0,
  NP_SLOT = 1, /* as.slot: in the value table of the worker at hand */
  NP_FALSE = 2,
  NP_TRUE = 3,
  NP_NULL = 4,    /* neap.null */
  NP_NUMBER = 5,  /* as.number */
  NP_SHORT = 6,   /* `length` bytes from `head` on, at most 14 */
  NP_STRING = 7,  /* as.blob */
  NP_ENCODED = 8, /* as.blob: the codec's bytes, with handles */
  NP_HANDLE = 9,  /* as.object */
  NP_CHUNK = 10   /* as.object: a chunk of a graph's edge */
} np_tag;

typedef struct np_blob np_blob;
typedef struct np_object np_object;

typedef struct np_value {
  uint8_t tag;
  uint8_t length;
  char head[6];
  union {
    double number;
    int64_t integer;
    uint32_t slot;
    np_blob *blob;
    np_object *object;
    char tail[8];
  } as;
} np_value;
/* cdef:end */

#define NP_SHORT_MAX 14

/* Immutable bytes; the handles that encoded bytes refer to stand before them,
 * one reference each. */
struct np_blob {
  _Atomic uint32_t refs;
  uint32_t handle_count;
  uint64_t length;
  np_object *handles[]; /* then `length` bytes */
};

static inline char *np_blob_bytes(np_blob *blob) {
  return (char *)(blob->handles + blob->handle_count);
}

/* NULL when there is no memory. Takes over the handles' references only on
 * success. `handles` may be NULL when there are none. */
np_blob *np_blob_new(const void *bytes, uint64_t length, np_object **handles,
                     uint32_t handle_count);
static inline void np_blob_retain(np_blob *blob) {
  atomic_fetch_add_explicit(&blob->refs, 1, memory_order_relaxed);
}
void np_blob_release(np_blob *blob); /* Any thread. */

static inline np_value np_value_number(double number) {
  return (np_value){.tag = NP_NUMBER, .as.number = number};
}
static inline np_value np_value_slot(uint32_t slot) {
  return (np_value){.tag = NP_SLOT, .as.slot = slot};
}

/* Copies the bytes; inside the value when they are few. */
np_status np_value_string(np_value *out, const char *bytes, uint64_t length);
/* As np_blob_new: on success the handles' references are the value's. */
np_status np_value_encoded(np_value *out, const char *bytes, uint64_t length,
                           np_object **handles, uint32_t handle_count);
void np_value_drop(np_value *value); /* Then NP_NOTHING. Slots: untouched. */
np_value np_value_copy(const np_value *value); /* One more owner. */

#endif

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "value/value.h"

typedef struct thing {
  np_object object;
  int *freed;
} thing;

static void thing_free(np_object *object) {
  thing *self = np_container_of(object, thing, object);
  ++*self->freed;
  np_free(self);
}

static const np_object_kind thing_kind = {"thing", 99, thing_free, NULL};

static np_object *thing_open(int *freed) {
  thing *self = np_alloc_zero(sizeof *self);
  assert_non_null(self);
  np_object_init(&self->object, &thing_kind);
  self->freed = freed;
  return &self->object;
}

static uint32_t refs_of(np_object *object) {
  return atomic_load(&object->refs);
}

static void test_sixteen_bytes(void **state) {
  (void)state;
  assert_int_equal(sizeof(np_value), 16);
}

/* Every length around the border, with bytes that a C string would end at. */
static void test_strings(void **state) {
  (void)state;
  int64_t before = np_alloc_live();
  char bytes[300];
  for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (char)(i * 7);
  for (uint64_t length = 0; length < sizeof bytes; length++) {
    np_value value;
    assert_int_equal(np_value_string(&value, bytes, length), NP_OK);
    if (length <= NP_SHORT_MAX) {
      assert_int_equal(value.tag, NP_SHORT);
      assert_int_equal(value.length, length);
      assert_memory_equal((char *)&value + 2, bytes, length);
      assert_int_equal(np_alloc_live(), before);
    } else {
      assert_int_equal(value.tag, NP_STRING);
      assert_int_equal(value.as.blob->length, length);
      assert_memory_equal(np_blob_bytes(value.as.blob), bytes, length);
      assert_int_equal(np_alloc_live(), before + 1);
    }
    np_value_drop(&value);
    assert_int_equal(value.tag, NP_NOTHING);
  }
  assert_int_equal(np_alloc_live(), before);
}

static void test_empty_string_from_no_bytes(void **state) {
  (void)state;
  np_value value;
  assert_int_equal(np_value_string(&value, NULL, 0), NP_OK);
  assert_int_equal(value.tag, NP_SHORT);
  assert_int_equal(value.length, 0);
}

static void test_blobs_are_counted(void **state) {
  (void)state;
  int64_t before = np_alloc_live();
  np_value first;
  assert_int_equal(np_value_string(&first, "more than fourteen bytes", 24),
                   NP_OK);
  np_value second = np_value_copy(&first);
  assert_ptr_equal(first.as.blob, second.as.blob);
  assert_int_equal(atomic_load(&first.as.blob->refs), 2);
  np_value_drop(&first);
  assert_memory_equal(np_blob_bytes(second.as.blob), "more than", 9);
  np_value_drop(&second);
  np_value_drop(&second); /* NP_NOTHING by now. */
  assert_int_equal(np_alloc_live(), before);
}

static void test_encoded_owns_its_handles(void **state) {
  (void)state;
  int freed = 0;
  int64_t before = np_alloc_live();
  np_object *handles[3];
  for (int i = 0; i < 3; i++) handles[i] = thing_open(&freed);
  np_value value;
  assert_int_equal(np_value_encoded(&value, "bytes", 5, handles, 3), NP_OK);
  assert_int_equal(value.tag, NP_ENCODED);
  assert_int_equal(value.as.blob->handle_count, 3);
  assert_memory_equal(np_blob_bytes(value.as.blob), "bytes", 5);
  assert_int_equal(refs_of(handles[0]), 1);
  np_value copy = np_value_copy(&value);
  np_value_drop(&value);
  assert_int_equal(freed, 0);
  assert_ptr_equal(copy.as.blob->handles[2], handles[2]);
  np_value_drop(&copy);
  assert_int_equal(freed, 3);
  assert_int_equal(np_alloc_live(), before);
}

static void test_encoded_without_memory_takes_nothing(void **state) {
  (void)state;
  int freed = 0;
  np_object *handle = thing_open(&freed);
  np_value value;
  np_alloc_fail_at(1);
  assert_int_equal(np_value_encoded(&value, "bytes", 5, &handle, 1), NP_NOMEM);
  assert_int_equal(value.tag, NP_NOTHING);
  np_alloc_fail_at(1);
  assert_int_equal(np_value_string(&value, "more than fourteen bytes", 24),
                   NP_NOMEM);
  assert_int_equal(value.tag, NP_NOTHING);
  np_value_drop(&value);
  assert_int_equal(freed, 0);
  np_object_release(handle);
  assert_int_equal(freed, 1);
}

static void test_absurd_length(void **state) {
  (void)state;
  np_value value;
  assert_int_equal(np_value_string(&value, "x", UINT64_MAX), NP_NOMEM);
  assert_int_equal(value.tag, NP_NOTHING);
}

static void test_handles_are_counted(void **state) {
  (void)state;
  int freed = 0;
  np_value value = {.tag = NP_HANDLE, .as.object = thing_open(&freed)};
  np_value copy = np_value_copy(&value);
  assert_int_equal(refs_of(value.as.object), 2);
  np_value_drop(&copy);
  assert_int_equal(freed, 0);
  np_value_drop(&value);
  assert_int_equal(freed, 1);
}

static void test_a_dying_object_is_not_retained(void **state) {
  (void)state;
  int freed = 0;
  np_object *object = thing_open(&freed);
  assert_true(np_object_try_retain(object));
  np_object_release(object);
  atomic_store(&object->refs, 0);
  assert_false(np_object_try_retain(object));
  atomic_store(&object->refs, 1);
  np_object_release(object);
  np_object_release(NULL);
  assert_int_equal(freed, 1);
}

static void test_scalars_and_slots_own_nothing(void **state) {
  (void)state;
  np_value values[] = {np_value_number(1.5), np_value_slot(7),
                       {.tag = NP_TRUE},     {.tag = NP_FALSE},
                       {.tag = NP_NULL},     {.tag = NP_NOTHING}};
  for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
    np_value copy = np_value_copy(&values[i]);
    assert_memory_equal(&copy, &values[i], sizeof copy);
    np_value_drop(&copy);
    assert_int_equal(copy.tag, NP_NOTHING);
  }
  assert_true(values[0].as.number == 1.5);
  assert_int_equal(values[1].as.slot, 7);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_sixteen_bytes),
      cmocka_unit_test(test_strings),
      cmocka_unit_test(test_empty_string_from_no_bytes),
      cmocka_unit_test(test_blobs_are_counted),
      cmocka_unit_test(test_encoded_owns_its_handles),
      cmocka_unit_test(test_encoded_without_memory_takes_nothing),
      cmocka_unit_test(test_absurd_length),
      cmocka_unit_test(test_handles_are_counted),
      cmocka_unit_test(test_a_dying_object_is_not_retained),
      cmocka_unit_test(test_scalars_and_slots_own_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/list.h"

typedef struct item {
  int number;
  np_link link;
} item;

static void expect(np_list *list, const int *numbers, int count) {
  int at = 0;
  for (np_link *link = list->head.next; link != &list->head;
       link = link->next) {
    assert_true(at < count);
    assert_int_equal(np_container_of(link, item, link)->number, numbers[at++]);
  }
  assert_int_equal(at, count);
  for (np_link *link = list->head.prev; link != &list->head; link = link->prev)
    assert_int_equal(np_container_of(link, item, link)->number, numbers[--at]);
}

static void test_first_in_first_out(void **state) {
  (void)state;
  np_list list;
  item items[3] = {{.number = 0}, {.number = 1}, {.number = 2}};
  np_list_init(&list);
  assert_true(np_list_empty(&list));
  assert_null(np_list_first(&list));
  for (int i = 0; i < 3; i++) {
    assert_false(np_link_linked(&items[i].link));
    np_list_push(&list, &items[i].link);
    assert_true(np_link_linked(&items[i].link));
  }
  expect(&list, (int[]){0, 1, 2}, 3);
  assert_ptr_equal(np_list_first(&list), &items[0].link);
}

static void test_removes_anywhere(void **state) {
  (void)state;
  np_list list;
  item items[5];
  np_list_init(&list);
  for (int i = 0; i < 5; i++) {
    items[i] = (item){.number = i};
    np_list_push(&list, &items[i].link);
  }
  np_list_remove(&items[2].link);
  expect(&list, (int[]){0, 1, 3, 4}, 4);
  np_list_remove(&items[0].link);
  np_list_remove(&items[4].link);
  expect(&list, (int[]){1, 3}, 2);
  assert_false(np_link_linked(&items[4].link));
  np_list_push(&list, &items[4].link); /* And back again. */
  expect(&list, (int[]){1, 3, 4}, 3);
  np_list_remove(&items[1].link);
  np_list_remove(&items[3].link);
  np_list_remove(&items[4].link);
  assert_true(np_list_empty(&list));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_first_in_first_out),
      cmocka_unit_test(test_removes_anywhere),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

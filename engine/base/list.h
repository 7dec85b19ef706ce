/* list.h - intrusive doubly linked list with O(1) removal.
 * A link knows whether it stands in a list (next != NULL). Not thread-safe:
 * the list's owner says which lock guards it. */
#ifndef NP_BASE_LIST_H
#define NP_BASE_LIST_H
#include <stdbool.h>
#include <stddef.h>

typedef struct np_link {
  struct np_link *prev, *next;
} np_link;

typedef struct np_list {
  np_link head;
} np_list;

#define np_container_of(pointer, type, member) \
  ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

static inline void np_list_init(np_list *list) {
  list->head.prev = list->head.next = &list->head;
}

static inline bool np_list_empty(const np_list *list) {
  return list->head.next == &list->head;
}

static inline bool np_link_linked(const np_link *link) {
  return link->next != NULL;
}

static inline void np_list_push(np_list *list, np_link *link) {
  link->prev = list->head.prev;
  link->next = &list->head;
  list->head.prev->next = link;
  list->head.prev = link;
}

static inline void np_list_remove(np_link *link) {
  link->prev->next = link->next;
  link->next->prev = link->prev;
  link->prev = link->next = NULL;
}

/* NULL when the list is empty. */
static inline np_link *np_list_first(const np_list *list) {
  return np_list_empty(list) ? NULL : list->head.next;
}

#endif

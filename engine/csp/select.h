/* select.h - waits for the first of several operations.
 * The objects of the cases are locked in address order (kept between calls),
 * looked at, and one of the ready ones is taken, each with the same chance; or
 * the task is enlisted with all; then they are unlocked. So `default` and the
 * choice act on one instant. A case table serves one task at a time. */
#ifndef NP_CSP_SELECT_H
#define NP_CSP_SELECT_H
#include "csp/channel.h"

#define NP_CASES_MAX 65536

typedef struct np_case {
  np_object *object; /* NULL: disabled */
  np_value value;    /* of a send on a shared channel */
  bool sends;
} np_case;

typedef struct np_select {
  uint32_t count;
  bool busy;       /* a task is parked on it */
  bool sorted;     /* `order` holds for the objects as they are */
  uint32_t *order; /* case numbers by address of object */
  np_case *cases;
  np_wait *waits;
} np_select;

/* NULL when there is no memory or `count` passes NP_CASES_MAX. */
np_select *np_select_open(uint32_t count);
void np_select_free(np_select *select);
/* Case `at`, from 0; a NULL object disables it. The caller keeps the object
 * alive while the table names it. */
void np_select_set(np_select *select, uint32_t at, np_object *object,
                   bool sends);

/* The code of the chosen case (as np_channel_recv; a send gives NP_OK and
 * front.slot to fill, or NP_NO_SLOT when its message went) with front.index;
 * or NP_PARKED, NP_PUMP, NP_CANCELED, NP_NOMEM, NP_STATE; NP_AGAIN unless
 * `wait`. After NP_PARKED the slots of local sends are in np_select_slot. */
int32_t np_select_run(np_waker *me, np_select *select, bool wait);
/* NP_NO_SLOT when case `at` waits with no slot. */
uint32_t np_select_slot(const np_select *select, uint32_t at);
/* After the wake: the slot that was given back, or NP_NO_SLOT. */
uint32_t np_select_left(const np_select *select, uint32_t at);

#endif

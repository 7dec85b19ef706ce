#include "sched/doze.h"

int np_doze_fd(np_worker *worker) {
  if (worker->alarm == NULL) {
    worker->alarm = np_alarm_open(&worker->waker.event);
    if (worker->alarm == NULL) return -1;
  }
  /* A host that asks goes to sleep on it next. */
  if (worker->waker.current->pumps) np_doze(worker);
  return worker->alarm->all_fd;
}

static bool has_work(np_worker *worker) {
  np_waker *me = &worker->waker;
  return me->ready_first != NULL || me->idle_bubbles != NULL ||
         atomic_load_explicit(&me->attention, memory_order_seq_cst) != 0 ||
         atomic_load_explicit(&me->mailbox, memory_order_seq_cst) != NULL ||
         (worker->engine->thread_count == 0 &&
          atomic_load_explicit(&worker->engine->pool_count,
                               memory_order_seq_cst) != 0);
}

bool np_doze(np_worker *worker) {
  np_waker *me = &worker->waker;
  me->dozing = true;
  /* The turn may have ended in the middle: what runs now is in no task. */
  me->current = &worker->outside.waiter;
  me->timers = &me->own_timers;
  if (worker->alarm != NULL) {
    me->own_timers.alarm = worker->alarm;
    np_alarm_set(worker->alarm, np_timers_next(&me->own_timers));
  }
  /* We say that we sleep, then look; a poster posts, then looks. */
  atomic_store_explicit(&me->sleeping, 1, memory_order_seq_cst);
  if (has_work(worker)) {
    np_waker_stir(me);
    return true;
  }
  return np_timers_next(&me->own_timers) <= np_clock_now();
}

/* An idle host comes here at each frame: it clears the event only when somebody
 * may have signaled it. A poster takes `sleeping` before it signals, so that
 * the signal may come after we have looked: one more time then, and now and
 * again in any case, for a poster that was held up in between. */
#define CLEAR_EVERY 16

void np_doze_end(np_worker *worker) {
  np_waker *me = &worker->waker;
  if (!me->dozing) return;
  me->dozing = false;
  me->own_timers.alarm = NULL;
  bool posted =
      atomic_exchange_explicit(&me->sleeping, 0, memory_order_seq_cst) == 0;
  if (posted || me->stirred || worker->posted ||
      ++worker->dozes % CLEAR_EVERY == 0)
    np_event_clear(&me->event);
  me->stirred = false;
  worker->posted = posted;
}

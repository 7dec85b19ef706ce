/* Everything at once: tasks on many workers send, receive, select, close,
 * cancel, sleep, join, open and end contexts, at random. Then the books must
 * balance: each value that a send says it sent was received exactly once, all
 * others never; nothing is left in memory; and no task sleeps through its wake
 * (the deadlock detector opens the channels when all do, the alarm ends a run
 * in which it does not). time limit: 300
 * size: one program, whose parts make no sense alone. */
#include <pthread.h>
#include <stdio.h>

#include "sched/testing.h"

#define ACTORS 24
#define CHANNELS 6
#define CASES 5
#define SEQ_BITS 24

typedef struct world world;

typedef enum kind {
  IDLE = 0,
  SEND,
  RECV,
  SELECT,
  SLEEP,
  JOIN,
  LEAVE
} kind;

typedef struct player {
  world *all;
  uint32_t id, next_seq;
  int ops;
  np_random random;
  kind doing;
  uint32_t seqs[CASES]; /* of the sends in flight */
  bool limited;
  np_object *held[CASES]; /* references for the operation in flight */
  int held_count;
  np_select *select;
  np_context *scope;   /* opened by this player, the current one */
  uint8_t *sent, *got; /* by seq: what the send said; times received */
} player;

struct world {
  np_engine *engine;
  np_context *scope;
  np_lock lock; /* guards the tables below */
  np_channel *channels[CHANNELS];
  np_outcome *outcomes[ACTORS];
  np_context *scopes[ACTORS];
  player players[ACTORS];
  _Atomic int64_t done, received, cancels, deadlocks, closes, respawns;
  uint32_t threads;
  bool wild; /* cancels and closes too */
};

static const uint32_t capacities[CHANNELS] = {0, 0, 1, 3, 16, 100};

/* --- values --------------------------------------------------------------- */

static np_value make_value(player *self, uint32_t seq) {
  double number = (double)(((uint64_t)self->id << SEQ_BITS) | seq);
  if (seq % 4 != 0) return np_value_number(number);
  char text[40];
  snprintf(text, sizeof text, "value number %017.0f", number);
  return np_text(text);
}

static void count_value(world *all, np_value *value) {
  double number;
  if (value->tag == NP_NUMBER) {
    number = value->as.number;
  } else {
    if (value->tag != NP_STRING) abort();
    char text[40] = "";
    memcpy(text, np_blob_bytes(value->as.blob), value->as.blob->length);
    if (sscanf(text, "value number %lf", &number) != 1) abort();
  }
  np_value_drop(value);
  uint64_t key = (uint64_t)number;
  player *from = &all->players[key >> SEQ_BITS];
  _Atomic uint8_t *cell =
      (_Atomic uint8_t *)(void *)&from->got[key & ((1 << SEQ_BITS) - 1)];
  atomic_fetch_add_explicit(cell, 1, memory_order_relaxed);
  atomic_fetch_add_explicit(&all->received, 1, memory_order_relaxed);
}

/* --- the tables ----------------------------------------------------------- */

static np_object *hold(player *self, np_object *object) {
  self->held[self->held_count++] = object;
  return object;
}

static np_channel *pick_channel(player *self) {
  world *all = self->all;
  np_lock_take(&all->lock);
  np_channel *channel = all->channels[np_random_below(&self->random, CHANNELS)];
  np_object_retain(&channel->object);
  np_lock_leave(&all->lock);
  return channel;
}

static np_outcome *pick_outcome(player *self) {
  world *all = self->all;
  np_lock_take(&all->lock);
  np_outcome *outcome = all->outcomes[np_random_below(&self->random, ACTORS)];
  if (outcome != NULL) np_object_retain(&outcome->object);
  np_lock_leave(&all->lock);
  return outcome;
}

static np_context *pick_scope(player *self) {
  world *all = self->all;
  np_lock_take(&all->lock);
  np_context *scope = all->scopes[np_random_below(&self->random, ACTORS)];
  if (scope != NULL) np_object_retain(&scope->object);
  np_lock_leave(&all->lock);
  return scope;
}

static void close_one(np_waker *me, world *all, uint32_t at) {
  np_channel *fresh = np_channel_open(capacities[at], NP_BLOCK, true);
  np_lock_take(&all->lock);
  np_channel *old = all->channels[at];
  all->channels[at] = fresh;
  np_lock_leave(&all->lock);
  np_channel_close(me, old);
  /* What is in it counts as received by whoever closes it. */
  while (np_channel_recv(me, old, false) == NP_MESSAGE)
    count_value(all, &me->front.received);
  np_object_release(&old->object);
  atomic_fetch_add(&all->closes, 1);
}

/* --- operations ----------------------------------------------------------- */

static uint32_t new_send(player *self, int at) {
  self->seqs[at] = self->next_seq++;
  return self->seqs[at];
}

static int32_t begin_select(player *self, np_waker *me) {
  uint32_t count = 1 + np_random_below(&self->random, CASES);
  self->select = np_select_open(count);
  bool has_channel = false;
  for (uint32_t i = 0; i < count; i++) {
    uint32_t draw = np_random_below(&self->random, 20);
    np_object *object = NULL;
    bool sends = draw < 9;
    if (draw == 19) {
      np_outcome *outcome = pick_outcome(self);
      if (outcome != NULL) object = hold(self, &outcome->object);
    } else if (draw == 18) {
      np_context *scope = pick_scope(self);
      if (scope != NULL) object = hold(self, &scope->object);
    } else {
      object = hold(self, &pick_channel(self)->object);
      has_channel = true;
    }
    np_select_set(self->select, i, object, sends);
    if (sends)
      self->select->cases[i].value = make_value(self, new_send(self, (int)i));
  }
  if (!has_channel) self->limited = true; /* Only channels are closed. */
  return np_select_run(me, self->select,
                       np_random_below(&self->random, 5) != 0);
}

static int32_t begin(player *self, np_waker *me) {
  bool waits = np_random_below(&self->random, 5) != 0;
  switch (self->doing) {
    case SEND: {
      np_channel *channel = pick_channel(self);
      hold(self, &channel->object);
      np_value value = make_value(self, new_send(self, 0));
      int32_t status = np_channel_send(me, channel, &value, waits);
      if (status < 0 && status != NP_PARKED) np_value_drop(&value);
      return status;
    }
    case RECV: {
      np_channel *channel = pick_channel(self);
      hold(self, &channel->object);
      return np_channel_recv(me, channel, waits);
    }
    case SELECT:
      return begin_select(self, me);
    case JOIN: {
      np_outcome *outcome = pick_outcome(self);
      if (outcome == NULL) return NP_OK;
      hold(self, &outcome->object);
      self->limited = true; /* It may be ourselves. */
      return np_outcome_wait(me, outcome);
    }
    default: {
      int32_t status = np_waker_check(me);
      if (status != NP_OK) return status;
      self->limited = true;
      return np_wait_bare(me);
    }
  }
}

static void finish_send(player *self, int at, bool sent) {
  self->sent[self->seqs[at]] = sent;
}

static void finish(player *self, np_waker *me, int32_t code) {
  world *all = self->all;
  if (self->doing == SEND) {
    finish_send(self, 0, code == NP_OK);
  } else if (self->doing == RECV) {
    if (code == NP_MESSAGE) count_value(all, &me->front.received);
  } else if (self->doing == SELECT) {
    bool chosen = code == NP_OK || code == NP_MESSAGE || code == NP_CLOSED;
    uint32_t index = chosen ? (uint32_t)me->front.index - 1 : UINT32_MAX;
    for (uint32_t i = 0; i < self->select->count; i++) {
      bool sends = self->select->cases[i].sends;
      if (sends) finish_send(self, (int)i, i == index && code == NP_OK);
      if (!sends && i == index && code == NP_MESSAGE)
        count_value(all, &me->front.received);
    }
    np_select_free(self->select);
    self->select = NULL;
  }
  while (self->held_count != 0)
    np_object_release(self->held[--self->held_count]);
  self->doing = IDLE;
  self->limited = false;
  atomic_fetch_add_explicit(&all->done, 1, memory_order_relaxed);
}

/* --- what needs no wait --------------------------------------------------- */

static void leave_scope(player *self, np_task *task) {
  if (self->scope == NULL) return;
  world *all = self->all;
  np_context_join(task->scope, &task->waiter);
  np_lock_take(&all->lock);
  all->scopes[self->id] = NULL;
  np_lock_leave(&all->lock);
  np_object_release(&self->scope->object); /* The table's. */
  np_object_release(&self->scope->object);
  self->scope = NULL;
}

static void enter_scope(player *self, np_waker *me, np_task *task) {
  world *all = self->all;
  if (np_random_below(&self->random, 3) == 0) {
    self->scope = np_context_open(me, task->scope);
  } else {
    int64_t span = np_random_below(&self->random, 300) * 1000;
    self->scope = np_context_open_until(me, task->scope, np_clock_now() + span,
                                        np_text("the time that it had is up"));
  }
  np_context_join(self->scope, &task->waiter);
  np_object_retain(&self->scope->object);
  np_lock_take(&all->lock);
  all->scopes[self->id] = self->scope;
  np_lock_leave(&all->lock);
}

static void meddle(player *self, np_waker *me) {
  world *all = self->all;
  switch (np_random_below(&self->random, 4)) {
    case 0: {
      np_outcome *outcome = pick_outcome(self);
      if (outcome == NULL) return;
      np_outcome_cancel(me, outcome, np_text("a cause of more than fourteen"));
      np_object_release(&outcome->object);
      atomic_fetch_add(&all->cancels, 1);
      return;
    }
    case 1:
      close_one(me, all, np_random_below(&self->random, CHANNELS));
      return;
    default: {
      np_context *scope = pick_scope(self);
      if (scope == NULL) return;
      np_context_end(me, scope, NP_CANCELED,
                     np_text("a cause of more than fourteen"));
      np_object_release(&scope->object);
    }
  }
}

/* --- the step ------------------------------------------------------------- */

static void play(np_worker *worker, np_task *task);

static void start_player(player *self, np_worker *from, np_context *scope) {
  world *all = self->all;
  uint32_t target = np_random_below(&self->random, all->threads + 2);
  if (target > all->threads) target = 0;
  np_task *task = np_task_spawn_new(from, scope, 0);
  task->step = play;
  task->state = self;
  np_object_retain(&task->outcome->object);
  np_lock_take(&all->lock);
  np_outcome *old = all->outcomes[self->id];
  all->outcomes[self->id] = task->outcome;
  np_lock_leave(&all->lock);
  if (old != NULL) np_object_release(&old->object);
  if (np_engine_spawn(from, task, target) != NP_OK) abort();
}

static void end_player(player *self, np_worker *worker, np_task *task,
                       bool was_canceled) {
  leave_scope(self, task);
  if (was_canceled && self->ops > 0 && np_context_state(task->scope) == NP_OK) {
    atomic_fetch_add(&self->all->respawns, 1);
    start_player(self, worker, task->scope); /* Goes on in a new life. */
  }
  np_task_end(worker, task, was_canceled ? NP_TASK_CANCELED : NP_TASK_SUCCEEDED,
              np_text("a result of more than fourteen"));
}

static void choose(player *self, np_waker *me, np_task *task) {
  uint32_t draw = np_random_below(&self->random, 1000);
  if (self->all->wild && draw >= 992) meddle(self, me);
  if (draw >= 980 && draw < 992) {
    if (self->scope == NULL)
      enter_scope(self, me, task);
    else
      leave_scope(self, task);
  }
  self->doing = draw < 360   ? SEND
                : draw < 720 ? RECV
                : draw < 960 ? SELECT
                : draw < 970 ? JOIN
                             : SLEEP;
  self->limited = np_random_below(&self->random, 10) == 0;
}

static void play(np_worker *worker, np_task *task) {
  player *self = task->state;
  np_waker *me = &worker->waker;
  int32_t code = me->front.code;
  bool begun = self->doing != IDLE;
  while (self->ops > 0 || begun) {
    if (!begun) {
      self->ops--;
      choose(self, me, task);
      code = begin(self, me);
      if (self->limited)
        code = np_waiter_limit(me, code,
                               np_random_below(&self->random, 100) * 1e-6);
      if (code == NP_PARKED) return;
    }
    begun = false;
    bool canceled = code == NP_CANCELED;
    bool yields = code == NP_YIELD;
    finish(self, me, code);
    if (canceled && self->scope != NULL) {
      leave_scope(self, task);
      canceled = atomic_load(&task->waiter.canceled) ||
                 np_context_state(task->scope) != NP_OK;
    }
    if (canceled) {
      end_player(self, worker, task, true);
      return;
    }
    if (yields) return;
  }
  end_player(self, worker, task, false);
}

/* --- a run ---------------------------------------------------------------- */

static world *open_world(uint32_t threads, int ops, uint64_t seed, bool wild) {
  world *all = np_alloc_zero(sizeof *all);
  all->threads = threads;
  all->wild = wild;
  all->engine = np_engine_open(false, seed);
  all->engine->main_waiter = &all->engine->workers[0]->outside.waiter;
  if (seed % 2 != 0) all->engine->spin_threads = threads;
  assert_int_equal(np_engine_start(all->engine, threads, np_worker_loop),
                   NP_OK);
  all->scope = np_test_scope(all->engine);
  for (int i = 0; i < CHANNELS; i++)
    all->channels[i] = np_channel_open(capacities[i], NP_BLOCK, true);
  for (uint32_t i = 0; i < ACTORS; i++) {
    player *self = &all->players[i];
    size_t values = (size_t)ops * CASES + 1;
    *self = (player){.all = all, .id = i, .ops = ops};
    self->sent = np_alloc_zero(values);
    self->got = np_alloc_zero(values);
    np_random_seed(&self->random, seed * 1000 + i);
  }
  return all;
}

/* Waits for all players; when all sleep for good, closes the channels, which
 * sends them on. */
static void run_world(world *all) {
  np_waker *me = &all->engine->workers[0]->waker;
  for (;;) {
    int32_t status = np_scope_wait(me, all->scope);
    if (status == NP_OK) return;
    if (np_test_pump(all->engine, NP_NEVER) != NP_DEADLOCK) continue;
    atomic_fetch_add(&all->deadlocks, 1);
    for (uint32_t i = 0; i < CHANNELS; i++) close_one(me, all, i);
  }
}

static void check_books(world *all, uint64_t seed) {
  int64_t sent = 0;
  for (uint32_t i = 0; i < ACTORS; i++) {
    player *self = &all->players[i];
    for (uint32_t seq = 0; seq < self->next_seq; seq++) {
      sent += self->sent[seq];
      if (self->sent[seq] != self->got[seq])
        fail_msg("seed %d: value %d of player %d: sent %d, received %d times",
                 (int)seed, (int)seq, (int)i, self->sent[seq], self->got[seq]);
    }
  }
  assert_int_equal(sent, atomic_load(&all->received));
}

static void close_world(world *all, uint64_t seed) {
  np_waker *me = &all->engine->workers[0]->waker;
  for (uint32_t i = 0; i < CHANNELS; i++) close_one(me, all, i);
  for (int i = 0; i < CHANNELS; i++) {
    assert_int_equal(all->channels[i]->object.enlisted, 0);
    np_object_release(&all->channels[i]->object);
  }
  check_books(all, seed);
  for (int i = 0; i < ACTORS; i++) {
    assert_null(all->scopes[i]);
    np_object_release(&all->outcomes[i]->object);
    np_free(all->players[i].sent);
    np_free(all->players[i].got);
  }
  assert_int_equal(all->scope->working, 0);
  assert_int_equal(all->scope->child_count, 0);
  np_test_leave(all->engine, all->scope);
  np_test_close(all->engine);
}

static void *end_later(void *argument) {
  world *all = argument;
  usleep(30000);
  np_context_end(NULL, all->scope, NP_CANCELED, np_text("that is enough now"));
  return NULL;
}

static void run_one(uint32_t threads, int ops, uint64_t seed, bool wild,
                    bool ends_early) {
  int64_t before = np_alloc_live();
  world *all = open_world(threads, ops, seed, wild);
  pthread_t ender;
  if (ends_early) pthread_create(&ender, NULL, end_later, all);
  for (uint32_t i = 0; i < ACTORS; i++)
    start_player(&all->players[i], all->engine->workers[0], all->scope);
  run_world(all);
  if (ends_early) pthread_join(ender, NULL);
  close_world(all, seed);
  if (getenv("NEAP_TEST_VERBOSE") != NULL)
    print_message("seed %d, %u threads: %d done, %d received, %d cancels, "
                  "%d respawns, %d closes, %d deadlocks\n",
                  (int)seed, threads, (int)all->done, (int)all->received,
                  (int)all->cancels, (int)all->respawns, (int)all->closes,
                  (int)all->deadlocks);
  np_free(all);
  assert_int_equal(np_alloc_live(), before);
}

/* Operations in all: 2 million, 200,000 when quick, more when asked. */
static int ops_of(int share, int runs) {
  const char *asked = getenv("NEAP_TEST_OPS");
  double total = asked != NULL                       ? strtod(asked, NULL)
                 : getenv("NEAP_TEST_QUICK") != NULL ? 2e5
                                                     : 2e6;
  int ops = (int)(total * share / 100 / runs / ACTORS);
  return ops < 10 ? 10 : ops;
}

static uint64_t first_seed(void) {
  const char *asked = getenv("NEAP_TEST_SEED");
  return asked != NULL ? strtoull(asked, NULL, 10) : 1;
}

static void test_traffic(void **state) {
  (void)state;
  const uint32_t threads[] = {1, 2, 4, 7};
  for (uint64_t i = 0; i < 4; i++)
    run_one(threads[i], ops_of(25, 4), first_seed() + i, false, false);
}

static void test_traffic_with_cancels_and_closes(void **state) {
  (void)state;
  const uint32_t threads[] = {7, 1, 2, 3, 4, 7, 7, 2};
  for (uint64_t i = 0; i < 8; i++)
    run_one(threads[i], ops_of(65, 8), first_seed() + 100 + i, true, false);
}

static void test_traffic_that_is_cut_off(void **state) {
  (void)state;
  for (uint64_t i = 0; i < 10; i++)
    run_one(1 + i % 7, ops_of(100, 1), first_seed() + 200 + i, true, true);
}

int main(void) {
  alarm(getenv("NEAP_TEST_OPS") != NULL ? 3000 : 290);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_traffic),
      cmocka_unit_test(test_traffic_with_cancels_and_closes),
      cmocka_unit_test(test_traffic_that_is_cut_off),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Claims that many threads want, and parking while a context ends. */
#include <pthread.h>
#include <sched.h>

#include "csp/context.h"
#include "csp/testing.h"

#define CLAIMERS 4

typedef struct duel {
  np_waker waker, wakers[CLAIMERS];
  np_actor actor;
  _Atomic int round; /* odd: it is parked, or about to be */
  _Atomic int wins, done;
  int rounds;
} duel;

typedef struct claimer {
  duel *fight;
  int number;
} claimer;

static void *claim_and_wake(void *argument) {
  claimer *self = argument;
  duel *fight = self->fight;
  for (int round = 1; round <= fight->rounds; round++) {
    while (atomic_load(&fight->round) < round) sched_yield();
    /* Until it is parked and somebody, perhaps we, has won. */
    while (atomic_load(&fight->wins) < round) {
      if (!np_waiter_claim(&fight->actor.waiter)) {
        if (atomic_load(&fight->actor.waiter.state) == NP_RUNNING)
          sched_yield();
        continue;
      }
      fight->actor.waiter.code = self->number;
      atomic_fetch_add(&fight->wins, 1);
      np_wake(&fight->wakers[self->number], &fight->actor.waiter);
    }
    atomic_fetch_add(&fight->done, 1);
  }
  return NULL;
}

/* Four threads for one claim: one wins, and its code and only its wake come
 * through. */
static void test_many_claimers(void **state) {
  (void)state;
  duel *fight = np_alloc_zero(sizeof *fight);
  fight->rounds = getenv("NEAP_TEST_QUICK") ? 1000 : 10000;
  np_test_waker(&fight->waker, 1);
  fight->waker.alone = false;
  np_actors_init(&fight->actor, 1, &fight->waker);
  pthread_t threads[CLAIMERS];
  claimer claimers[CLAIMERS];
  for (int i = 0; i < CLAIMERS; i++) {
    np_test_waker(&fight->wakers[i], 1);
    claimers[i] = (claimer){fight, i};
    pthread_create(&threads[i], NULL, claim_and_wake, &claimers[i]);
  }
  for (int round = 1; round <= fight->rounds; round++) {
    atomic_store(&fight->round, round);
    assert_int_equal(np_wait_bare(now(&fight->actor)), NP_PARKED);
    np_actor *woken;
    while ((woken = np_actor_next(&fight->waker)) == NULL) sched_yield();
    assert_ptr_equal(woken, &fight->actor);
    while (atomic_load(&fight->done) < round * CLAIMERS) sched_yield();
    assert_int_equal(atomic_load(&fight->wins), round);
    assert_nobody(&fight->waker);
  }
  for (int i = 0; i < CLAIMERS; i++) {
    pthread_join(threads[i], NULL);
    np_waker_free(&fight->wakers[i]);
  }
  np_waker_free(&fight->waker);
  np_free(fight);
}

typedef struct ending {
  np_waker waker;
  np_context *context;
  _Atomic int round, ended;
  int rounds;
} ending;

static void *end_contexts(void *argument) {
  ending *race = argument;
  np_waker mine;
  np_test_waker(&mine, 3);
  mine.alone = false;
  np_random random;
  np_random_seed(&random, 1);
  for (int round = 1; round <= race->rounds; round++) {
    while (atomic_load(&race->round) < round) sched_yield();
    for (uint32_t i = np_random_below(&random, 60); i != 0; i--) np_cpu_pause();
    np_context_end(&mine, race->context, NP_CANCELED, (np_value){0});
    atomic_store(&race->ended, round);
  }
  np_waker_free(&mine);
  return NULL;
}

/* A task parks while its context ends in another thread: it never sleeps
 * through that, whichever comes first. */
static void test_park_against_end(void **state) {
  (void)state;
  ending *race = np_alloc_zero(sizeof *race);
  race->rounds = getenv("NEAP_TEST_QUICK") ? 2000 : 10000;
  np_test_waker(&race->waker, 1);
  race->waker.alone = false;
  np_actor actor;
  np_actors_init(&actor, 1, &race->waker);
  np_random random;
  np_random_seed(&random, 2);
  pthread_t thread;
  pthread_create(&thread, NULL, end_contexts, race);
  int slept = 0;
  for (int round = 1; round <= race->rounds; round++) {
    race->context = np_context_open(&race->waker, NULL);
    np_context_join(race->context, &actor.waiter);
    atomic_store(&race->round, round);
    for (uint32_t i = np_random_below(&random, 400); i != 0; i--)
      np_cpu_pause();
    int32_t status = np_wait_bare(now(&actor));
    if (status == NP_PARKED) {
      slept++;
      while (np_actor_next(&race->waker) == NULL) sched_yield();
      assert_int_equal(race->waker.front.code, NP_CANCELED);
    } else {
      assert_int_equal(status, NP_CANCELED);
    }
    while (atomic_load(&race->ended) < round) sched_yield();
    np_context_quit(&actor.waiter);
    np_object_release(&race->context->object);
    assert_nobody(&race->waker);
  }
  pthread_join(thread, NULL);
  print_message("%d of %d slept\n", slept, race->rounds);
  np_waker_free(&race->waker);
  np_free(race);
}

int main(void) {
  alarm(110);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_many_claimers),
      cmocka_unit_test(test_park_against_end),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

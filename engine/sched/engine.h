/* engine.h - one runtime: its workers, its root context, its queue of spawned
 * tasks. Several may live in one process; nothing here is static.
 *
 * A worker is an OS thread with its own queue, or (number 0) whichever thread
 * of the host calls now, one at a time. Other threads reach a worker through
 * its waker only.
 * Lock order: pool before idle; both are leaves otherwise. */
#ifndef NP_SCHED_ENGINE_H
#define NP_SCHED_ENGINE_H
#include <pthread.h>
#include <sys/types.h>
#include <unistd.h>

#include "sched/scope.h"

#define NP_WORKERS_MAX 256
#define NP_POOL_MAX (1u << 20) /* spawned tasks that no worker has begun */

typedef struct np_engine np_engine;

/* Handles that a worker's Lua objects stand for, by number; see bind. */
typedef struct np_kept {
  np_object **objects; /* NULL where the number is free */
  uint32_t *free_ids;
  uint32_t free_count, high, capacity;
} np_kept;

struct np_worker {
  np_waker waker; /* first */
  np_engine *engine;
  uint32_t number;
  /* Slab of task records, by slot; a record's address never changes. */
  np_task **tasks;
  np_pool task_pool;
  uint32_t task_high, task_capacity;
  uint32_t *free_tasks;
  uint32_t free_task_count;
  uint32_t live_tasks; /* this thread only; see np_worker_live */
  uint64_t started, switches;
  np_task outside; /* stands for code that runs in no task */
  void *state;     /* the lua_State of script, when it is ours */
  void (*step)(np_worker *worker, np_task *task); /* of tasks with none */
  np_value staged; /* what Lua put together to send; see bind */
  np_object **staged_handles;
  uint32_t staged_count, staged_capacity;
  np_value staged_key;
  np_kept kept;
  np_value *promoted; /* messages that will take the place of slots */
  uint32_t promoted_count;
  pthread_t thread;
  bool has_thread, is_ours;
  bool has_reported;      /* its own thread: np_worker_report was called */
  np_status start_status; /* what it reported; read when all have */
  /* Guarded by engine->idle. */
  bool asleep;
  int64_t asleep_until;
  int exit_status; /* of the command, when its main task has ended */
  _Atomic bool stopping;
  int64_t stop_by;    /* written before stopping: when to give up on tasks */
  _Atomic bool ended; /* its thread's body has returned */
  bool haunted;       /* threads left behind may still reach it: never freed */
  np_alarm *alarm;    /* what a host sleeps on; see sched/doze.h */
  uint32_t dozes;
  bool posted; /* to, in its last doze, by another thread */
  /* Read by anybody: counters that only this worker writes. */
  _Atomic uint64_t counted_tasks, counted_live;
};

/* Lines that workers printed, on their way to a host; see sched/output.h. */
typedef struct np_output {
  np_lock lock;
  struct np_line *first, *last;
  struct np_line *handed; /* lent to the host until it takes the next */
  size_t size;
  uint64_t lost;
  bool posted;
  np_task errand; /* wakes worker 0 */
} np_output;

struct np_engine {
  pid_t pid;
  /* A page that reads zero in a forked child, which has none of the threads;
   * NULL where the kernel cannot: then pid tells. */
  const volatile uint8_t *own_page;
  np_context *root;
  _Atomic uint32_t thread_count; /* workers 1..thread_count have threads */
  np_worker *workers[NP_WORKERS_MAX + 1];
  _Atomic uint32_t unreported; /* threads that start, and the starter */
  np_event all_reported;       /* signaled by the last, if the starter waits */
  /* The queue of spawned tasks. */
  np_lock pool_lock;
  np_task *pool_first, *pool_last; /* linked by waiter.next */
  _Atomic uint32_t pool_count;
  /* Who sleeps: a deadlock is found by the last to lie down. */
  np_lock idle_lock;
  uint32_t asleep;
  _Atomic int32_t
      outsiders;          /* things that may post from outside: signals, I/O */
  np_lock interrupt_lock; /* guards the cause until `interrupted` is set */
  np_value interrupt_cause;
  _Atomic bool interrupted;
  _Atomic int32_t dies_of; /* the signal to end by, once all have unwound */
  np_waiter *main_waiter;  /* told of a deadlock; worker 0 only */
  uint32_t spin_threads;   /* 0: more threads than CPUs, do not spin */
  void *script;            /* of the room above */
  np_output output;
  np_lock names_lock;
  struct named *names; /* see sched/names.h */
};

/* An engine with worker 0 only. `ours`: its loop is ours too (the executable).
 * NULL when there is no memory or no descriptor. */
np_engine *np_engine_open(bool ours, uint64_t seed);
/* Starts threads for workers 1..count, those that run already excepted; `run`
 * is each thread's body, which calls np_worker_loop. Returns when each has
 * reported. If one fails, it and those after it are taken back: its status is
 * returned, those before it work, and a later call may try again. NP_LIMIT: too
 * many; NP_NOMEM: no memory or no thread. */
np_status np_engine_start(np_engine *engine, uint32_t count,
                          void (*run)(np_worker *worker));
/* `run` calls this once its worker can take tasks, or cannot (it returns then).
 * With NP_OK it waits until the start as a whole has succeeded, or failed: the
 * loop ends at once then. np_worker_loop calls it for those who did not. */
void np_worker_report(np_worker *worker, np_status status);
/* Closing, in steps (sched/stop.c); the caller is in no task of worker 0.
 * Halt: cancels the root, forgets spawned tasks that nobody has begun, and has
 * the workers leave when their tasks have unwound, or after `grace` ns. */
void np_engine_halt(np_engine *engine, int64_t grace);
/* Whether all threads have come to their end. */
bool np_engine_has_halted(np_engine *engine);
/* After halt: joins the threads, for `patience` ns at most, and drops what is
 * left of worker 0's tasks. NP_TIMEOUT: some thread is still busy; it is left
 * behind with its memory, and harms nobody when it wakes up. */
np_status np_engine_stop(np_engine *engine, int64_t patience);
/* After stop: the engine is as it was opened; worker 0 and root are the same
 * objects. *engine is another one if threads were left behind (or in a forked
 * child). NP_NOMEM: nothing was done. */
np_status np_engine_renew(np_engine **engine);
/* Halt and stop, then frees everything. NULL is fine. NP_TIMEOUT: threads were
 * left behind; NP_FORKED: this is a child; what they have is not freed. */
np_status np_engine_close(np_engine *engine, int64_t grace);
/* True in a child of the process that opened it: only renew and close. */
static inline bool np_engine_is_forked(const np_engine *engine) {
  return engine->own_page != NULL ? *engine->own_page == 0
                                  : engine->pid != getpid();
}
/* Ends all tasks of this worker that are parked or ready; its own thread. */
void np_worker_drop_tasks(np_worker *worker);
void np_worker_free(np_worker *worker); /* NULL is fine. */
/* For sched/stop.c: the record alone, with no worker yet. */
np_engine *np_engine_new(void);
void np_engine_free(np_engine *engine);
#define NP_OWN_PAGE 4096

/* A new task of this worker in `scope`, not yet ready (np_ready_push). NULL
 * when there is no memory. */
np_task *np_task_new(np_worker *worker, np_context *scope, uint32_t options);
/* The end of a task: tells scope and joiners, frees the record for the next.
 * `result` (taken over) is what joiners elsewhere get. */
void np_task_end(np_worker *worker, np_task *task, int32_t state,
                 np_value result);
/* The first half of np_task_end, if it shall come early. */
void np_task_end_outcome(np_worker *worker, np_task *task, int32_t state,
                         np_value result);
np_task *np_task_find(np_worker *worker, uint32_t slot, uint32_t generation);

/* Puts a spawned task (np_task_spawn_new) in the pool, or in the mailbox of
 * worker `target` (1..); NP_LIMIT when the pool is full (the caller still owns
 * it). With no threads, or in a bubble, it becomes ready here. */
np_status np_engine_spawn(np_worker *from, np_task *task, uint32_t target);
/* A record outside any slab, for a task no worker has begun. */
np_task *np_task_spawn_new(np_worker *from, np_context *scope,
                           uint32_t options);

/* A worker takes a spawned task: the record moves into its slab. */
np_status np_task_adopt(np_worker *worker, np_task *task);

/* Any thread of the process: cancels the root with `cause` (taken over), now if
 * the engine has threads, else as soon as worker 0 looks up. */
void np_engine_interrupt(np_engine *engine, np_value cause);

/* The next task to run, its front filled; NULL when there is none and `until`
 * (np_clock time) has passed, or the worker is told to stop. The record of the
 * worker's outside is returned when what it waits for has come. */
np_task *np_worker_next(np_worker *worker, int64_t until);
/* Runs tasks until told to stop. */
void np_worker_loop(np_worker *worker);
static inline void np_worker_step(np_worker *worker, np_task *task) {
  (task->step != NULL ? task->step : worker->step)(worker, task);
}
/* Wakes a sleeping worker so that it looks around. Any thread. */
void np_worker_nudge(np_worker *worker);

#endif

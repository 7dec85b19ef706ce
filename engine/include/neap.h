/* neap.h - Neap in a host written in C or C++.
 *
 * An engine runs Lua scripts in its own states: on worker threads of its own,
 * or (workers = 0) on the host's thread, a slice at each tick. The host starts
 * scripts, hears of their ends as events, exchanges values with them through
 * named channels, and sleeps on one descriptor. No Lua state, no callback and
 * no signal handler crosses this line; nothing is printed.
 *
 * Threads. Functions marked [any] may be called from any thread at any time.
 * Those marked [one] may be called from any thread, but from one at a time for
 * each engine: a call that finds another in progress changes nothing and gives
 * NEAP_BUSY. The engine never needs "the thread that opened it".
 * Only neap_engine_wait, _close and _release may block.
 *
 * Memory. Every struct that the host fills or reads is the host's. Bytes that
 * the engine lends (an event's data, a received value) stay valid until the
 * next call of the same function. Handles are given up with their _release.
 *
 * Errors. Functions answer NEAP_OK or a negative status; where there is more to
 * say they fill a neap_error, which may be NULL. Every call on an engine that
 * was closed gives NEAP_CLOSED, and in a forked child NEAP_FORKED; a NULL
 * handle counts as closed. Out of memory is a status, never an abort.
 *
 * Structs begin with their size or are checked by neap_abi_check; they grow at
 * the end. Text is UTF-8 or whatever bytes the script had. Durations are
 * seconds; a negative one means "without end". */
#ifndef NEAP_H
#define NEAP_H
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define NEAP_API __attribute__((visibility("default")))
#else
#define NEAP_API
#endif

#define NEAP_VERSION_MAJOR 0
#define NEAP_VERSION_MINOR 1
#define NEAP_VERSION_PATCH 0
#define NEAP_HEADER_VERSION                                        \
  ((uint32_t)(NEAP_VERSION_MAJOR << 16 | NEAP_VERSION_MINOR << 8 | \
              NEAP_VERSION_PATCH))

/* What a call answers. Nonnegative: it did what was asked. */
enum {
  NEAP_OK = 0,
  NEAP_READY = 1,        /* tick: more could run at once */
  NEAP_TIMER = 2,        /* tick: something waits for a time */
  NEAP_AGAIN = -1,       /* nothing there, or no room; try later */
  NEAP_TIMEOUT = -2,     /* the time given has passed */
  NEAP_INTERRUPTED = -3, /* wait: a signal handler of the host ran */
  NEAP_CLOSED = -4,      /* the engine or channel is closed */
  NEAP_FORKED = -5,      /* the engine belongs to the parent process */
  NEAP_BUSY = -6,        /* another thread is inside this engine */
  NEAP_ARGUMENT = -7,    /* an argument makes no sense */
  NEAP_MEMORY = -8,
  NEAP_LIMIT = -9,             /* a bound of the engine was reached */
  NEAP_SYSTEM = -10,           /* the system refused a thread or a descriptor */
  NEAP_VERSION_MISMATCH = -11, /* header and library differ */
  NEAP_STATE = -12             /* a worker's Lua state did not open */
};

/* Where a script is. */
enum {
  NEAP_JOB_RUNNING = 0,
  NEAP_JOB_DONE = 1,
  NEAP_JOB_FAILED = 2, /* it raised an error, or did not compile */
  NEAP_JOB_CANCELED = 3
};

enum {
  NEAP_EVENT_DONE = 1,   /* a script ended: its results are in the event */
  NEAP_EVENT_FAILED = 2, /* it failed or was canceled: neap_event_error */
  NEAP_EVENT_OUTPUT = 3  /* a worker printed a line: data, size */
};

enum {
  NEAP_NIL = 0,
  NEAP_FALSE = 1,
  NEAP_TRUE = 2,
  NEAP_NULL = 3,   /* neap.null */
  NEAP_NUMBER = 4, /* number */
  NEAP_INT64 = 5,  /* integer: a Lua int64_t */
  NEAP_UINT64 = 6, /* integer, to be read as unsigned */
  NEAP_STRING = 7, /* data, size: bytes, with no zero behind them */
  NEAP_TABLE = 8,  /* data, size: encoded; see neap_table_next */
  NEAP_OTHER = 9   /* something that C cannot read, such as a handle */
};

typedef struct neap_engine neap_engine;
typedef struct neap_job neap_job;
typedef struct neap_channel neap_channel;

typedef struct neap_error {
  int32_t status; /* as returned; for a script's error 0 */
  int32_t line;   /* of `file`; 0: not known */
  char kind[32];  /* as in Lua: "error", "argument", "deadline", ... */
  char file[128];
  char message[512]; /* cut to fit, as all of these */
  char traceback[2048];
} neap_error;

typedef struct neap_config {
  uint32_t size; /* by neap_config_init */
  /* Threads that run scripts; 0: none, scripts run inside tick; -1: as many as
   * the process has CPUs (affinity and cgroup quota counted). */
  int32_t workers;
  uint32_t max_jobs; /* scripts at a time; 65,536 */
  uint32_t reserved; /* 0 */
  double grace;      /* seconds that release gives to running scripts; 1 */
  /* As in Lua; NULL: Lua's own. Copied by open. Scripts load no C modules. */
  const char *package_path;
} neap_config;

typedef struct neap_event {
  int32_t type;   /* NEAP_EVENT_... */
  int32_t worker; /* of an output */
  neap_job *job;  /* whose event it is; no reference is given */
  uint64_t tag;   /* as given to neap_script_start */
  const void *data;
  size_t size;
} neap_event;

typedef struct neap_value {
  int32_t type; /* NEAP_NIL, ... */
  int32_t reserved;
  double number;
  int64_t integer;
  const char *data;
  size_t size;
} neap_value;

typedef struct neap_stats {
  uint64_t jobs_started, jobs_done, jobs_failed, jobs_canceled;
  uint64_t jobs_running, events_waiting;
  uint64_t tasks_started, tasks_live; /* of all scripts */
  uint64_t lines_lost;                /* printed, but nobody polled in time */
  uint32_t workers, reserved;
} neap_stats;

/* --- library ---------------------------------------------------------------*/

/* [any] NEAP_HEADER_VERSION of the library. */
NEAP_API uint32_t neap_version(void);

/* [any] "timeout" for NEAP_TIMEOUT, and so on. Static text. */
NEAP_API const char *neap_status_name(int status);

/* [any] The first call of a binding: NEAP_OK, or NEAP_VERSION_MISMATCH when the
 * host was built with another header. Use NEAP_ABI_CHECK(). */
NEAP_API int neap_abi_check(uint32_t version, size_t config, size_t event,
                            size_t error);
#define NEAP_ABI_CHECK()                                                       \
  neap_abi_check(NEAP_HEADER_VERSION, sizeof(neap_config), sizeof(neap_event), \
                 sizeof(neap_error))

/* --- engine ----------------------------------------------------------------*/

/* [any] Defaults. `size` is sizeof(neap_config); open refuses one that this
 * call has not seen. */
NEAP_API void neap_config_init(neap_config *config, size_t size);

/* [any] Opens an engine: starts its workers and waits until each is ready.
 * All or nothing. `config` may be NULL. On NEAP_OK the caller has a reference
 * in *engine; else it is NULL. */
NEAP_API int neap_engine_open(const neap_config *config, neap_engine **engine,
                              neap_error *error);

/* [one] Cancels all scripts, lets them unwind for `timeout` seconds, joins the
 * threads. Jobs that had not ended have been canceled; events that nobody
 * polled are gone; handles stay valid and answer NEAP_CLOSED. NEAP_TIMEOUT: a
 * script would not come back; its thread is left behind with its memory and
 * harms nobody. Closing twice is NEAP_OK. */
NEAP_API int neap_engine_close(neap_engine *engine, double timeout,
                               neap_error *error);

/* [one] Gives the reference up; closes first, with the configured grace, if
 * nobody has. NULL is fine. In a forked child it only frees memory. */
NEAP_API void neap_engine_release(neap_engine *engine);

/* [one] Runs what is ready on this thread: with workers = 0 the scripts, else
 * only book-keeping. Stops at the first yield point after `budget` seconds
 * (0: after one step). `used` (may be NULL): the seconds it took.
 * NEAP_OK: idle; NEAP_READY; NEAP_TIMER (see neap_engine_deadline). */
NEAP_API int neap_engine_tick(neap_engine *engine, double budget, double *used);

/* [one] Fills up to `max` events, oldest first; returns how many, or a negative
 * status. Never blocks, and allocates nothing; with nothing there it reads a
 * few words of memory. What the events point to is valid until the next poll
 * or close. */
NEAP_API int neap_engine_poll(neap_engine *engine, neap_event *events,
                              int32_t max);

/* [one] Sleeps until poll or tick has something to do. NEAP_OK, NEAP_TIMEOUT,
 * or NEAP_INTERRUPTED after a signal handler ran. */
NEAP_API int neap_engine_wait(neap_engine *engine, double timeout);

/* [one] A descriptor that is readable whenever wait would return at once: for
 * poll, epoll, uv_poll. It stays the same; do not read from it. After it was
 * readable call tick or poll. -1: the system has none to give. */
NEAP_API int neap_engine_wake_fd(neap_engine *engine);

/* [one] Seconds to the next timer of worker 0, 0 when something is ready, -1
 * when there is none: for loops that cannot wait for a descriptor. */
NEAP_API double neap_engine_deadline(neap_engine *engine);

/* [any] Fills the first `size` bytes of *stats. */
NEAP_API int neap_engine_stats(neap_engine *engine, neap_stats *stats,
                               size_t size);

/* --- scripts ---------------------------------------------------------------*/

/* [one] Starts `source` (Lua text; `name` is its chunk name for messages, as in
 * "=level" or "@file.lua") as a script with `count` arguments: they are its
 * `...`. All bytes are copied. It runs on the next free worker; its end comes
 * as an event with `tag`. A script that does not compile is a failed job.
 * On NEAP_OK *job (unless `job` is NULL) is a reference for the caller.
 * NEAP_LIMIT: max_jobs are running. */
NEAP_API int neap_script_start(neap_engine *engine, const char *name,
                               const char *source, size_t size,
                               const neap_value *arguments, int32_t count,
                               uint64_t tag, neap_job **job, neap_error *error);

/* [any] NEAP_JOB_..., or NEAP_CLOSED for NULL. */
NEAP_API int neap_job_status(const neap_job *job);

/* [any] Asks the script to end: its next blocking call raises `canceled` with
 * `why` (may be NULL). Returns at once; the end comes as an event. A script
 * that computes without a pause hears nothing of it. NEAP_OK also when it had
 * ended. */
NEAP_API int neap_job_cancel(neap_job *job, const char *why);

/* [any] Gives the reference up; the script runs on. NULL is fine. */
NEAP_API void neap_job_release(neap_job *job);

/* --- values ----------------------------------------------------------------*/

/* [any] Reads the results in a NEAP_EVENT_DONE: returns how many there are and
 * fills up to `max`. They point into the event. 0 for other events. */
NEAP_API int neap_event_values(const neap_event *event, neap_value *values,
                               int32_t max);

/* [any] What a NEAP_EVENT_FAILED says. NEAP_OK, or NEAP_ARGUMENT for another
 * event. */
NEAP_API int neap_event_error(const neap_event *event, neap_error *error);

/* [any] The next pair of a NEAP_TABLE, in no order; *position is 0 at first.
 * NEAP_OK, or NEAP_AGAIN after the last. */
NEAP_API int neap_table_next(const neap_value *table, uint64_t *position,
                             neap_value *key, neap_value *value);

/* --- channels --------------------------------------------------------------*/

/* [one] The engine's channel `name` (up to 63 bytes), opened with `capacity` if
 * neither host nor scripts have done so. In Lua it is
 * require("neap.embed").channel(name). On NEAP_OK a reference in *channel. */
NEAP_API int neap_channel_open(neap_engine *engine, const char *name,
                               uint32_t capacity, neap_channel **channel);

/* [one] Sends a value (not NEAP_NIL or NEAP_OTHER) if a receiver waits or there
 * is room. NEAP_OK, NEAP_AGAIN, NEAP_CLOSED, NEAP_ARGUMENT, NEAP_MEMORY. */
NEAP_API int neap_channel_try_send(neap_channel *channel,
                                   const neap_value *value);

/* [one] Receives if something is there. NEAP_OK; NEAP_AGAIN; NEAP_CLOSED when
 * it is closed and drained. Valid until the next receive of this channel. */
NEAP_API int neap_channel_try_recv(neap_channel *channel, neap_value *value);

/* [one] No more sends. NEAP_CLOSED if it was. */
NEAP_API int neap_channel_close(neap_channel *channel);

/* [one] Gives the reference up; the channel stays. NULL is fine. */
NEAP_API void neap_channel_release(neap_channel *channel);

#ifdef __cplusplus
}
#endif

#endif

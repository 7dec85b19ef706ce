/* main.c - the `neap` command. An engine whose worker 0 is this thread, its
 * state ours; everything the user sees is lua/neap/cli. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/signals.h"
#include "script/main.h"

static int fail(const char *what) {
  fprintf(stderr, "neap: %s\n", what);
  return EXIT_FAILURE;
}

int main(int argc, char **argv) {
  uint64_t seed = (uint64_t)np_clock_now() ^ ((uint64_t)getpid() << 32);
  np_engine *engine = np_engine_open(true, seed);
  if (engine == NULL) return fail("memory: cannot open the engine");
  static const np_script_config config = {.guest = false};
  char error[512] = "";
  np_worker *worker = engine->workers[0];
  if (np_script_open(worker, &config, error, sizeof error) != NP_OK)
    return fail(error[0] != '\0' ? error : "memory: cannot open a state");
  if (np_signals_open(engine) != NP_OK)
    return fail("io: cannot watch for signals");

  int status = np_script_main(worker, argc, argv);
  fflush(stdout);
  int signal = np_signals_received();
  if (signal == 0) signal = atomic_load(&engine->dies_of);
  if (signal != 0) np_signals_die(signal);
#ifdef NP_DEBUG
  /* The release build lets the kernel take millions of keys back at once. */
  np_script_close(worker);
  np_engine_close(engine, NP_SECOND);
#endif
  exit(status);
}

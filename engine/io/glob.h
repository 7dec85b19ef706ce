/* glob.h - file patterns, matched name by name while a tree is walked.
 * Any thread; a pattern does not change once it is open. */
#ifndef NP_IO_GLOB_H
#define NP_IO_GLOB_H
#include <stdbool.h>
#include <stdint.h>
#include "base/status.h"

#define NP_GLOB_COMPONENTS 60

typedef struct np_glob np_glob;

/* Has `path` a character that is special in patterns? */
bool np_glob_is_pattern(const char *path);
/* NP_RANGE: more than NP_GLOB_COMPONENTS. */
np_status np_glob_open(np_glob **out, const char *pattern);
void np_glob_free(np_glob *glob); /* NULL is fine. */

/* The directory where all matches lie: "" for the current one. */
const char *np_glob_base(const np_glob *glob);
/* A state is a set of bits: how many components may have matched so far. The
 * first is that of the base; the next one follows from each name below it. */
uint64_t np_glob_start(const np_glob *glob);
uint64_t np_glob_step(const np_glob *glob, uint64_t state, const char *name);
bool np_glob_is_match(const np_glob *glob, uint64_t state);
/* Can something below a directory in this state match? */
bool np_glob_goes_on(const np_glob *glob, uint64_t state);

#endif

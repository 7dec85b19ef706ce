/* history.h - what was entered at the prompt, and the file that keeps it. One
 * thread at a time. */
#ifndef NP_CLI_HISTORY_H
#define NP_CLI_HISTORY_H
#include <histedit.h>

#define NP_HISTORY_MAX 10000 /* entries, in memory and in the file */

typedef struct np_history np_history;

np_history *np_history_open(void);          /* NULL when there is no memory. */
void np_history_close(np_history *history); /* NULL is fine. */
HistoryW *np_history_of(np_history *history); /* for libedit */

void np_history_add(np_history *history, const char *entry);
void np_history_load(np_history *history, const char *path);
/* Adds the entries of this session to the file, which another session may have
 * written meanwhile. */
void np_history_save(np_history *history, const char *path);

#endif

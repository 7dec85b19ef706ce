/* barrier.h - an uneven fence: the frequent side pays nothing, the rare side
 * makes every thread of the process pass a full barrier (membarrier, Linux).
 * Where the kernel has no such call, the frequent side must use seq_cst. */
#ifndef NP_BASE_BARRIER_H
#define NP_BASE_BARRIER_H
#include <stdbool.h>

/* Once a process or more often; false: the kernel cannot. */
bool np_barrier_register(void);
/* All threads have passed a full barrier when it returns. */
void np_barrier_all(void);

#endif

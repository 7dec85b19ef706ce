#include "base/lock.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SPIN_ROUNDS 100

void np_lock_take_slow(np_lock *lock) {
  for (int round = 0; round < SPIN_ROUNDS; round++) {
    uint32_t seen = 0;
    if (atomic_load_explicit(&lock->state, memory_order_relaxed) == 0 &&
        atomic_compare_exchange_weak_explicit(&lock->state, &seen, 1,
                                              memory_order_acquire,
                                              memory_order_relaxed))
      return;
    np_cpu_pause();
  }
  /* From here on the lock counts as slept on, even if we get it at once: one
   * wake too many is cheaper than a sleeper that nobody wakes. */
  while (atomic_exchange_explicit(&lock->state, 2, memory_order_acquire) != 0)
    syscall(SYS_futex, &lock->state, FUTEX_WAIT_PRIVATE, 2, NULL, NULL, 0);
}

void np_lock_leave_slow(np_lock *lock) {
  syscall(SYS_futex, &lock->state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

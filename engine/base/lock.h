/* lock.h - a lock of four bytes: spins about 100 rounds, then sleeps in the
 * kernel. Not a bare spin lock: its holder may be off the CPU. Not recursive.
 * Memory order: taking it acquires, leaving it releases. */
#ifndef NP_BASE_LOCK_H
#define NP_BASE_LOCK_H
#include <stdatomic.h>
#include <stdint.h>
#include "base/assert.h"

typedef struct np_lock {
  _Atomic uint32_t state; /* 0 free, 1 held, 2 held and somebody sleeps */
} np_lock;

/* A breath for the other hardware thread while we spin. */
static inline void np_cpu_pause(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

void np_lock_take_slow(np_lock *lock);
void np_lock_leave_slow(np_lock *lock);

static inline void np_lock_init(np_lock *lock) { atomic_init(&lock->state, 0); }

static inline void np_lock_take(np_lock *lock) {
  uint32_t free_state = 0;
  if (np_unlikely(
          !atomic_compare_exchange_strong_explicit(&lock->state, &free_state, 1,
                                                   memory_order_acquire,
                                                   memory_order_relaxed)))
    np_lock_take_slow(lock);
}

static inline void np_lock_leave(np_lock *lock) {
  if (np_unlikely(
          atomic_exchange_explicit(&lock->state, 0, memory_order_release) == 2))
    np_lock_leave_slow(lock);
}

#endif

#include "base/front.h"

#include "base/alloc.h"
#include "base/entry.h"

struct np_front {
  np_entry *slots; /* aligned to a pair */
  uint64_t seed;
  uint32_t drained; /* slots that np_front_drain has passed */
  char room[(NP_FRONT_SLOTS + 2) * sizeof(np_entry)];
};

np_status np_front_open(np_front **out, uint64_t seed) {
  np_front *front = *out = np_alloc_zero(sizeof *front);
  if (front == NULL) return NP_NOMEM;
  uintptr_t base = (uintptr_t)front->room;
  base += -base % (2 * sizeof(np_entry));
  front->slots = (np_entry *)base;
  front->seed = seed;
  return NP_OK;
}

void np_front_free(np_front *front) { np_free(front); }

static inline np_entry *pair_of(const np_front *front, uint32_t hash) {
  return &front->slots[2 * ((uint64_t)hash * (NP_FRONT_SLOTS / 2) >> 32)];
}

/* The rarer one goes, so that frequent keys stay. Not copied by vectors: those
 * stall on words that were written just now. */
static inline uint32_t replace(np_entry *pair, const np_entry *entry,
                               np_entry *out) {
  np_entry *victim = &pair[pair[1].count < pair[0].count];
  *out = *victim;
  victim->key.words[0] = entry->key.words[0];
  victim->key.words[1] = entry->key.words[1];
  victim->count = entry->count;
  victim->tag = entry->tag;
  return out->size != 0;
}

uint32_t np_front_add(np_front *front, const char *base, const uint32_t *starts,
                      const uint32_t *lengths, uint32_t n, uint64_t each,
                      np_entry *out) {
  np_entry entries[NP_FRONT_BATCH];
  uint32_t dropped = 0;
  np_assert(n <= NP_FRONT_BATCH);
  front->drained = 0;
  for (uint32_t i = 0; i < n; i++) {
    np_entry_make(&entries[i], front->seed, base + starts[i], lengths[i], each);
    __builtin_prefetch(pair_of(front, entries[i].hash), 1);
  }
  for (uint32_t i = 0; i < n; i++) {
    const np_entry *entry = &entries[i];
    np_entry *pair = pair_of(front, entry->hash);
    bool first = np_entry_same_short(&pair[0], entry);
    bool second = np_entry_same_short(&pair[1], entry);
    if (np_likely(first | second)) /* One branch: which one is a coin toss. */
      pair[second].count += each;
    else if (np_unlikely(np_entry_is_long(entry)))
      out[dropped++] = *entry;
    else
      dropped += replace(pair, entry, &out[dropped]);
  }
  return dropped;
}

uint32_t np_front_drain(np_front *front, np_entry *out) {
  uint32_t count = 0;
  while (front->drained < NP_FRONT_SLOTS && count < NP_FRONT_BATCH) {
    np_entry *slot = &front->slots[front->drained++];
    if (slot->size != 0) out[count++] = *slot;
    slot->size = 0;
  }
  return count;
}

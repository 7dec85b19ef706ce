/* entry.h - making and comparing the entries of tables, for the hot loops of
 * table.c, front.c, shared_table.c and counter.c. */
#ifndef NP_BASE_ENTRY_H
#define NP_BASE_ENTRY_H
#include <string.h>
#include "base/assert.h"
#include "base/table.h"

__extension__ typedef unsigned __int128 np_wide;

#define NP_SALT_0 UINT64_C(0xa0761d6478bd642f)
#define NP_SALT_1 UINT64_C(0xe7037ed1a0b428db)
#define NP_SALT_2 UINT64_C(0x8ebc6af09c88c6e3)
#define NP_SALT_3 UINT64_C(0x589965cc75374cc3)

static inline uint64_t np_load64(const void *bytes) {
  uint64_t word;
  memcpy(&word, bytes, sizeof word);
  return word;
}

static inline uint64_t np_hash_mix(uint64_t a, uint64_t b) {
  np_wide product = (np_wide)a * b;
  return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Slots come from the top bits, parts from the bottom bits: all must be good,
 * so there is a second multiplication. */
static inline uint32_t np_hash_finish(uint64_t mixed, uint32_t length) {
  uint64_t hash = np_hash_mix(mixed ^ NP_SALT_2, NP_SALT_3 ^ length);
  return (uint32_t)(hash ^ hash >> 32);
}

static inline uint64_t np_entry_tag(uint32_t hash, uint32_t size) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  return (uint64_t)size << 32 | hash;
#else
  return (uint64_t)hash << 32 | size;
#endif
}

/* length > 16; reads no further. */
static inline uint64_t np_hash_long(uint64_t seed, const char *key,
                                    uint32_t length) {
  const char *last = key + length - 16;
  uint64_t state = seed ^ NP_SALT_0;
  for (; key < last; key += 16)
    state = np_hash_mix(np_load64(key) ^ NP_SALT_1, np_load64(key + 8) ^ state);
  return np_hash_mix(np_load64(last) ^ NP_SALT_1, np_load64(last + 8) ^ state);
}

static inline bool np_entry_is_long(const np_entry *entry) {
  return entry->size > NP_KEY_INLINE + 1;
}

/* Fills *out in; a long key stays where it is. 16 bytes at `key` are read. */
static inline void np_entry_make(np_entry *out, uint64_t seed, const char *key,
                                 uint32_t length, uint64_t count) {
  static const unsigned char ones[32] = {255, 255, 255, 255, 255, 255,
                                         255, 255, 255, 255, 255, 255,
                                         255, 255, 255, 255};
  uint64_t mixed;
  np_assert(length <= NP_KEY_MAX);
  if (np_likely(length <= NP_KEY_INLINE)) {
    const unsigned char *mask = ones + NP_KEY_INLINE - length;
    out->key.words[0] = np_load64(key) & np_load64(mask);
    out->key.words[1] = np_load64(key + 8) & np_load64(mask + 8);
    mixed = np_hash_mix(out->key.words[0] ^ seed ^ NP_SALT_0,
                        out->key.words[1] ^ NP_SALT_1);
  } else {
    mixed = np_hash_long(seed, key, length);
    out->key.out.bytes = key;
    out->key.out.check = mixed;
  }
  out->count = count;
  out->tag = np_entry_tag(np_hash_finish(mixed, length), length + 1);
}

/* The same for a key with nothing readable behind it. */
static inline void np_entry_make_bare(np_entry *out, uint64_t seed,
                                      const char *key, uint32_t length,
                                      uint64_t count) {
  char padded[NP_KEY_INLINE] = {0};
  if (length <= NP_KEY_INLINE) {
    memcpy(padded, key, length);
    key = padded;
  }
  np_entry_make(out, seed, key, length, count);
}

/* Both short. */
static inline bool np_entry_same_short(const np_entry *a, const np_entry *b) {
  return ((a->key.words[0] ^ b->key.words[0]) |
          (a->key.words[1] ^ b->key.words[1]) | (a->tag ^ b->tag)) == 0;
}

/* length > 16. The hashes agree, so this is true nearly always: no early out,
 * and no call. */
static inline bool np_key_same_long(const char *a, const char *b,
                                    uint32_t length) {
  uint64_t different = 0;
  uint32_t last = length - 16;
  for (uint32_t at = 0; at < last; at += 16)
    different |= (np_load64(a + at) ^ np_load64(b + at)) |
                 (np_load64(a + at + 8) ^ np_load64(b + at + 8));
  different |= (np_load64(a + last) ^ np_load64(b + last)) |
               (np_load64(a + last + 8) ^ np_load64(b + last + 8));
  return different == 0;
}

static inline bool np_entry_same(const np_entry *a, const np_entry *b) {
  if (a->tag != b->tag) return false;
  if (np_likely(!np_entry_is_long(a)))
    return ((a->key.words[0] ^ b->key.words[0]) |
            (a->key.words[1] ^ b->key.words[1])) == 0;
  return a->key.out.check == b->key.out.check &&
         np_key_same_long(a->key.out.bytes, b->key.out.bytes, a->size - 1);
}

#endif

#include "graph/dictionary.h"

#include "base/alloc.h"
#include "base/entry.h"

#define MOST_CODES 262144u
#define FIRST_SLOTS 4096u
#define MOST_BYTES (UINT64_C(32) << 20) /* of long texts */
#define AHEAD 32u /* hashed and asked for before they are looked up */
#define PAUSE 64u /* chunks without codes after one that gained nothing */

struct np_dictionary {
  np_entry *slots; /* `count` is the code */
  uint32_t mask, known, epoch;
  uint32_t pause;
  uint64_t seed;
  np_arena arena;
  uint32_t *codes, *fresh;
  uint32_t room;
};

np_status np_dictionary_open(np_dictionary **out, uint64_t seed) {
  *out = NULL;
  np_dictionary *dictionary = np_alloc_zero(sizeof *dictionary);
  if (dictionary == NULL) return NP_NOMEM;
  dictionary->slots = np_alloc_zero(FIRST_SLOTS * sizeof(np_entry));
  if (dictionary->slots == NULL) {
    np_free(dictionary);
    return NP_NOMEM;
  }
  dictionary->mask = FIRST_SLOTS - 1;
  dictionary->seed = seed;
  *out = dictionary;
  return NP_OK;
}

void np_dictionary_free(np_dictionary *dictionary) {
  if (dictionary == NULL) return;
  np_arena_clear(&dictionary->arena);
  np_free(dictionary->slots);
  np_free(dictionary->codes);
  np_free(dictionary->fresh);
  np_free(dictionary);
}

static void start_afresh(np_dictionary *dictionary) {
  for (uint32_t i = 0; i <= dictionary->mask; i++)
    dictionary->slots[i].size = 0;
  np_arena_clear(&dictionary->arena);
  dictionary->known = 0;
  dictionary->epoch++;
}

static np_status grow(np_dictionary *dictionary) {
  uint32_t mask = dictionary->mask * 2 + 1;
  np_entry *slots = np_alloc_zero(((size_t)mask + 1) * sizeof *slots);
  if (slots == NULL) return NP_NOMEM;
  for (uint32_t i = 0; i <= dictionary->mask; i++) {
    const np_entry *entry = &dictionary->slots[i];
    if (entry->size == 0) continue;
    uint32_t at = entry->hash & mask;
    while (slots[at].size != 0) at = (at + 1) & mask;
    slots[at] = *entry;
  }
  np_free(dictionary->slots);
  dictionary->slots = slots;
  dictionary->mask = mask;
  return NP_OK;
}

static np_status make_room(np_dictionary *dictionary, uint32_t count) {
  if (dictionary->known + count > MOST_CODES ||
      dictionary->arena.bytes > MOST_BYTES)
    start_afresh(dictionary);
  while ((dictionary->known + count) * 2 > dictionary->mask) {
    np_status status = grow(dictionary);
    if (status != NP_OK) return status;
  }
  if (count <= dictionary->room) return NP_OK;
  uint32_t *codes = np_realloc(dictionary->codes, count * sizeof *codes);
  if (codes == NULL) return NP_NOMEM;
  dictionary->codes = codes;
  uint32_t *fresh = np_realloc(dictionary->fresh, count * sizeof *fresh);
  if (fresh == NULL) return NP_NOMEM;
  dictionary->fresh = fresh;
  dictionary->room = count;
  return NP_OK;
}

/* The entry's code; 0: no memory. */
static uint32_t code_of(np_dictionary *dictionary, np_entry *entry) {
  uint32_t at = entry->hash & dictionary->mask;
  while (dictionary->slots[at].size != 0) {
    if (np_entry_same(&dictionary->slots[at], entry))
      return (uint32_t)dictionary->slots[at].count;
    at = (at + 1) & dictionary->mask;
  }
  if (np_entry_is_long(entry)) {
    entry->key.out.bytes = np_arena_copy(&dictionary->arena,
                                         entry->key.out.bytes, entry->size - 1);
    if (entry->key.out.bytes == NULL) return 0;
  }
  entry->count = ++dictionary->known;
  dictionary->slots[at] = *entry;
  return dictionary->known;
}

static np_status look_up(np_dictionary *dictionary, const np_chunk *chunk,
                         uint32_t from, uint32_t count, np_codes *out) {
  np_entry entries[AHEAD];
  for (uint32_t i = 0; i < count; i++) {
    np_entry_make(&entries[i], dictionary->seed,
                  chunk->base + chunk->starts[from + i],
                  chunk->lengths[from + i], 0);
    __builtin_prefetch(&dictionary->slots[entries[i].hash & dictionary->mask]);
  }
  for (uint32_t i = 0; i < count; i++) {
    uint32_t known = dictionary->known;
    uint32_t code = code_of(dictionary, &entries[i]);
    if (code == 0) return NP_NOMEM;
    dictionary->codes[from + i] = code;
    if (code > known) dictionary->fresh[out->fresh_count++] = from + i;
  }
  return NP_OK;
}

np_status np_dictionary_look_up(np_dictionary *dictionary,
                                const np_chunk *chunk, np_codes *out) {
  if (dictionary->pause != 0) {
    dictionary->pause--;
    return NP_AGAIN;
  }
  if (chunk->count > MOST_CODES / 16) return NP_AGAIN;
  np_status status = make_room(dictionary, chunk->count);
  if (status != NP_OK) return status;
  *out = (np_codes){.codes = dictionary->codes,
                    .fresh = dictionary->fresh,
                    .first = dictionary->known + 1,
                    .epoch = dictionary->epoch};
  for (uint32_t from = 0; from < chunk->count; from += AHEAD) {
    uint32_t count = chunk->count - from;
    if (count > AHEAD) count = AHEAD;
    status = look_up(dictionary, chunk, from, count, out);
    if (status != NP_OK) return status;
  }
  if (chunk->count >= AHEAD && out->fresh_count > chunk->count / 4 * 3)
    dictionary->pause = PAUSE;
  return NP_OK;
}

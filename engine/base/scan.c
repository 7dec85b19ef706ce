/* Two phases over strips of 4 KiB: first one membership bit a byte, by the best
 * instructions there are; then starts and ends from the bits, where a run
 * begins or ends at each change. The second phase is one C source, compiled
 * once more with the bit instructions that come with AVX2. */
#include "base/scan.h"

#include <string.h>
#include "base/assert.h"

#if defined(__x86_64__)
#define HAVE_X86 1
#include <immintrin.h>
#define TARGET_AVX2 __attribute__((target("avx2,bmi,bmi2,lzcnt,popcnt")))
#else
#define HAVE_X86 0
#endif
#define ALWAYS_INLINE inline __attribute__((always_inline))

#define STRIP_WORDS 64u

int np_scan_level(void) {
#if HAVE_X86
  /* BMI2 as well: the second phase is built with it. */
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2") &&
      __builtin_cpu_supports("popcnt"))
    return 2;
  return 1;
#else
  return 0;
#endif
}

static uint64_t low_bits(uint32_t count) {
  return count >= 64 ? ~UINT64_C(0) : (UINT64_C(1) << count) - 1;
}

static uint64_t mask_plain(const np_class *class, const char *bytes,
                           uint32_t count) {
  uint64_t mask = 0;
  for (uint32_t i = 0; i < count; i++)
    mask |= (uint64_t)np_class_has(class, (uint8_t)bytes[i]) << i;
  return mask;
}

static void masks_plain(const np_class *class, const char *bytes,
                        uint32_t length, uint64_t *masks) {
  for (; length > 64; bytes += 64, length -= 64)
    *masks++ = mask_plain(class, bytes, 64);
  *masks = mask_plain(class, bytes, length);
}

#if HAVE_X86

static ALWAYS_INLINE uint64_t mask16(const np_class *class, const char *bytes) {
  __m128i text = _mm_loadu_si128((const __m128i *)(const void *)bytes);
  __m128i in = _mm_setzero_si128();
  for (int i = 0; i < class->range_count; i++) {
    __m128i from = _mm_sub_epi8(text, _mm_set1_epi8((char)class->first[i]));
    __m128i width = _mm_set1_epi8((char)class->width[i]);
    __m128i below = _mm_cmpeq_epi8(_mm_min_epu8(from, width), from);
    in = _mm_or_si128(in, below);
  }
  uint32_t mask = (uint32_t)_mm_movemask_epi8(in);
  return class->inverted ? mask ^ 0xffffu : mask;
}

/* Reads 32 bytes when `count` <= 32, else 64: that is what the padding is. */
static void masks_sse2(const np_class *class, const char *bytes,
                       uint32_t length, uint64_t *masks) {
  for (;; bytes += 64, length -= 64) {
    uint64_t mask = mask16(class, bytes) | mask16(class, bytes + 16) << 16;
    if (length > 32)
      mask |= mask16(class, bytes + 32) << 32 | mask16(class, bytes + 48) << 48;
    *masks++ = mask & low_bits(length);
    if (length <= 64) return;
  }
}

/* A byte is in the class if, in the row of its low nibble, the bit of its high
 * nibble is set; there are two tables of rows, for bytes below and from 128. */
TARGET_AVX2 static inline uint32_t mask32(const char *bytes, __m256i low,
                                          __m256i high) {
  const __m256i bit_of =
      _mm256_setr_epi8(1, 2, 4, 8, 16, 32, 64, -128, 1, 2, 4, 8, 16, 32, 64,
                       -128, 1, 2, 4, 8, 16, 32, 64, -128, 1, 2, 4, 8, 16, 32,
                       64, -128);
  __m256i text = _mm256_loadu_si256((const __m256i *)(const void *)bytes);
  __m256i flipped = _mm256_xor_si256(text, _mm256_set1_epi8(-128));
  __m256i row = _mm256_or_si256(_mm256_shuffle_epi8(low, text),
                                _mm256_shuffle_epi8(high, flipped));
  __m256i nibble =
      _mm256_and_si256(_mm256_srli_epi16(text, 4), _mm256_set1_epi8(15));
  __m256i bit = _mm256_shuffle_epi8(bit_of, nibble);
  __m256i in = _mm256_cmpeq_epi8(_mm256_and_si256(row, bit), bit);
  return (uint32_t)_mm256_movemask_epi8(in);
}

TARGET_AVX2 static void masks_avx2(const np_class *class, const char *bytes,
                                   uint32_t length, uint64_t *masks) {
  __m256i low = _mm256_broadcastsi128_si256(
      _mm_loadu_si128((const __m128i *)(const void *)class->rows[0]));
  __m256i high = _mm256_broadcastsi128_si256(
      _mm_loadu_si128((const __m128i *)(const void *)class->rows[1]));
  for (; length > 64; bytes += 64, length -= 64)
    *masks++ = mask32(bytes, low, high) |
               (uint64_t)mask32(bytes + 32, low, high) << 32;
  uint64_t mask = mask32(bytes, low, high);
  if (length > 32) mask |= (uint64_t)mask32(bytes + 32, low, high) << 32;
  *masks = mask & low_bits(length);
}

TARGET_AVX2 static inline uint32_t newlines32(const char *bytes) {
  __m256i text = _mm256_loadu_si256((const __m256i *)(const void *)bytes);
  return (uint32_t)_mm256_movemask_epi8(
      _mm256_cmpeq_epi8(text, _mm256_set1_epi8('\n')));
}

TARGET_AVX2 static void newlines_avx2(const char *bytes, uint32_t length,
                                      uint64_t *masks) {
  for (; length > 64; bytes += 64, length -= 64)
    *masks++ = newlines32(bytes) | (uint64_t)newlines32(bytes + 32) << 32;
  uint64_t mask = newlines32(bytes);
  if (length > 32) mask |= (uint64_t)newlines32(bytes + 32) << 32;
  *masks = mask & low_bits(length);
}

#endif

/* length > 0; writes a mask for each 64 bytes begun. */
static void fill_masks(const np_class *class, const char *bytes,
                       uint32_t length, uint64_t *masks) {
#if HAVE_X86
  if (class->level == 2) {
    masks_avx2(class, bytes, length, masks);
    return;
  }
  if (class->level == 1 && class->range_count < 5) {
    masks_sse2(class, bytes, length, masks);
    return;
  }
#endif
  masks_plain(class, bytes, length, masks);
}

static void fill_newlines(int level, const char *bytes, uint32_t length,
                          uint64_t *masks) {
#if HAVE_X86
  if (level == 2) {
    newlines_avx2(bytes, length, masks);
    return;
  }
#endif
  np_class newline = {.bits = {UINT64_C(1) << '\n', 0, 0, 0},
                      .first = {'\n'},
                      .range_count = 1,
                      .level = (uint8_t)level};
  fill_masks(&newline, bytes, length, masks);
}

size_t np_class_find(const np_class *class, const char *bytes, size_t length) {
  for (size_t at = 0; at < length; at += 64) {
    size_t left = length - at;
    uint64_t mask;
    fill_masks(class, bytes + at, left < 64 ? (uint32_t)left : 64, &mask);
    if (mask != 0) return at + (size_t)__builtin_ctzll(mask);
  }
  return length;
}

size_t np_class_find_last(const np_class *class, const char *bytes,
                          size_t length) {
  for (size_t end = length; end > 0;) {
    size_t at = (end - 1) & ~(size_t)63;
    uint64_t mask;
    fill_masks(class, bytes + at, (uint32_t)(end - at), &mask);
    if (mask != 0) return at + 63 - (size_t)__builtin_clzll(mask);
    end = at;
  }
  return length;
}

void np_scan_begin(np_scan *scan, const char *bytes, uint32_t length) {
  *scan = (np_scan){.bytes = bytes, .length = length};
}

/* How much of the text the next strip takes, so that it can yield `a_word`
 * items for each 64 bytes and still fit; 0 when there is no room or text. */
static uint32_t strip_length(const np_scan *scan, uint32_t room,
                             uint32_t a_word) {
  uint32_t words = room / a_word;
  if (words > STRIP_WORDS) words = STRIP_WORDS;
  uint32_t left = scan->length - scan->position;
  return left < words * 64 ? left : words * 64;
}

static ALWAYS_INLINE uint32_t *put_bits(uint32_t *out, uint64_t mask,
                                        uint32_t offset) {
  while (mask != 0) {
    *out++ = offset + (uint32_t)__builtin_ctzll(mask);
    mask &= mask - 1;
  }
  return out;
}

/* Ends go to `lengths` at first; then they become lengths in one go. */
static ALWAYS_INLINE uint32_t runs_body(np_scan *scan, const np_class *class,
                                        uint32_t *starts, uint32_t *lengths,
                                        uint32_t max) {
  uint64_t masks[STRIP_WORDS];
  uint32_t *start = starts, *end = lengths, length;
  uint64_t before = scan->open;
  if (scan->open) *start++ = scan->start;
  while ((length = strip_length(scan, max - (uint32_t)(end - lengths), 33))) {
    fill_masks(class, scan->bytes + scan->position, length, masks);
    for (uint32_t at = 0; at < length; at += 64) {
      uint64_t in = masks[at / 64], shifted = in << 1 | before;
      start = put_bits(start, in & ~shifted, scan->position + at);
      uint64_t ends = ~in & shifted;
      if (length - at < 64) ends &= low_bits(length - at);
      end = put_bits(end, ends, scan->position + at);
      before = in >> 63;
      if (length - at < 64) before = in >> (length - at - 1) & 1;
    }
    scan->position += length;
  }
  scan->open = before;
  if (scan->open) scan->start = start[-1];
  if (scan->open && scan->position == scan->length && end < lengths + max) {
    *end++ = scan->length;
    scan->open = false;
  }
  uint32_t count = (uint32_t)(end - lengths);
  for (uint32_t i = 0; i < count; i++) lengths[i] -= starts[i];
  return count;
}

static ALWAYS_INLINE uint32_t lines_body(np_scan *scan, int level,
                                         uint32_t *starts, uint32_t *lengths,
                                         uint32_t max) {
  uint64_t masks[STRIP_WORDS];
  uint32_t count = 0, line = scan->start, length;
  while ((length = strip_length(scan, max - count, 64))) {
    fill_newlines(level, scan->bytes + scan->position, length, masks);
    for (uint32_t at = 0; at < length; at += 64) {
      for (uint64_t mask = masks[at / 64]; mask != 0; mask &= mask - 1) {
        uint32_t end = scan->position + at + (uint32_t)__builtin_ctzll(mask);
        starts[count] = line;
        lengths[count++] = end - line;
        line = end + 1;
      }
    }
    scan->position += length;
  }
  if (scan->position == scan->length && line < scan->length && count < max) {
    starts[count] = line;
    lengths[count++] = scan->length - line;
    line = scan->length;
  }
  scan->start = line;
  return count;
}

#if HAVE_X86
TARGET_AVX2 static uint32_t runs_avx2(np_scan *scan, const np_class *class,
                                      uint32_t *starts, uint32_t *lengths,
                                      uint32_t max) {
  return runs_body(scan, class, starts, lengths, max);
}

TARGET_AVX2 static uint32_t lines_avx2(np_scan *scan, uint32_t *starts,
                                       uint32_t *lengths, uint32_t max) {
  return lines_body(scan, 2, starts, lengths, max);
}
#endif

uint32_t np_scan_runs(np_scan *scan, const np_class *class, uint32_t *starts,
                      uint32_t *lengths, uint32_t max) {
  np_assert(max >= NP_SCAN_LEAST);
#if HAVE_X86
  if (class->level == 2) return runs_avx2(scan, class, starts, lengths, max);
#endif
  return runs_body(scan, class, starts, lengths, max);
}

uint32_t np_scan_lines(np_scan *scan, uint32_t *starts, uint32_t *lengths,
                       uint32_t max) {
  np_assert(max >= NP_SCAN_LEAST);
#if HAVE_X86
  if (np_scan_level() == 2) return lines_avx2(scan, starts, lengths, max);
#endif
  return lines_body(scan, np_scan_level(), starts, lengths, max);
}

/* scan.h - classes of bytes, and cutting text into runs of a class or lines.
 * Any thread; no state outside the np_scan. Picks AVX2, SSE2 or plain C once a
 * class is made. Words cost 2 to 3 ns each, so the table is the wall, not this.
 * Contract of every `bytes` here: 32 bytes behind the end are readable (their
 * values do not matter). Offsets are 32 bits: a text has less than 2 GiB. */
#ifndef NP_BASE_SCAN_H
#define NP_BASE_SCAN_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/status.h"

/* What must be readable behind each text, and the smallest `max` of a call. */
#define NP_SCAN_PADDING 32
#define NP_SCAN_LEAST 64

typedef struct np_class np_class;

struct np_class {
  uint64_t bits[4];    /* the set: byte b is bit b % 64 of word b / 64 */
  uint8_t rows[2][16]; /* AVX2: by low nibble, high nibbles 0-7 and 8-15 */
  uint8_t first[4];    /* SSE2: at most four ranges, else range_count is 5 */
  uint8_t width[4];
  uint8_t range_count;
  uint8_t inverted; /* the ranges are those of the complement */
  uint8_t level;    /* 2 AVX2, 1 SSE2, 0 plain C */
};

/* How this CPU scans: 2 AVX2, 1 SSE2, 0 plain C. */
int np_scan_level(void);

/* From a Lua pattern that is one class with a final `+`: `%S+`, `%a+`, `.+`,
 * `x+`, `[%w_]+`, `[^,;]+`, `[a-f0-9]+`, `%.+`. Classes as in the C locale.
 * NP_RANGE: any other pattern, which only Lua can do. */
np_status np_class_parse(np_class *out, const char *pattern, size_t length);
/* The set given as 256 bits. */
void np_class_make(np_class *out, const uint64_t bits[4]);
/* What is not in `class`: the separators of its runs. */
void np_class_invert(np_class *out, const np_class *class);
/* " \t\n\v\f\r", and '\n' alone. */
void np_class_space(np_class *out);
void np_class_newline(np_class *out);
/* Tests only: scan with a lower level than the CPU's. */
void np_class_set_level(np_class *class, int level);

static inline bool np_class_has(const np_class *class, uint8_t byte) {
  return (class->bits[byte >> 6] >> (byte & 63)) & 1;
}

/* First and last byte of the class in bytes[0, length); `length` if none. */
size_t np_class_find(const np_class *class, const char *bytes, size_t length);
size_t np_class_find_last(const np_class *class, const char *bytes,
                          size_t length);

/* A position in one text. Copy it to remember a place. */
typedef struct np_scan {
  const char *bytes;
  uint32_t length;
  uint32_t position; /* what lies before it has been looked at */
  uint32_t start;    /* of the run or line that is open at `position` */
  bool open;         /* runs only: one is open */
} np_scan;

void np_scan_begin(np_scan *scan, const char *bytes, uint32_t length);

/* The next runs of `class`, maximal and in order, at most `max` of them
 * (max >= NP_SCAN_LEAST): run i is bytes[starts[i], starts[i] + lengths[i]).
 * Returns how many; 0 only at the end of the text. The text's end ends a run:
 * a source cuts its blocks where no run can cross. `starts` and `lengths` hold
 * `max` elements each. */
uint32_t np_scan_runs(np_scan *scan, const np_class *class, uint32_t *starts,
                      uint32_t *lengths, uint32_t max);

/* The same for lines: cut at '\n', which is not in the line ('\r' is); a last
 * line without '\n' counts, an empty one behind the last '\n' does not. */
uint32_t np_scan_lines(np_scan *scan, uint32_t *starts, uint32_t *lengths,
                       uint32_t max);

#endif

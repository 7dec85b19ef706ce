/* The part of scan.h that makes classes: from patterns, sets and each other. */
#include <string.h>
#include "base/scan.h"

typedef struct bitset {
  uint64_t bits[4];
} bitset;

static void add_byte(bitset *set, unsigned byte) {
  set->bits[byte >> 6] |= UINT64_C(1) << (byte & 63);
}

static void add_range(bitset *set, unsigned first, unsigned last) {
  for (unsigned byte = first; byte <= last; byte++) add_byte(set, byte);
}

static bool is_alpha(unsigned b) { return (b | 32) - 'a' < 26; }
static bool is_digit(unsigned b) { return b - '0' < 10; }
static bool is_graph(unsigned b) { return b - 33 < 94; }

/* The letter classes of Lua in the C locale, whatever the host's locale. */
static bool in_letter_class(char letter, unsigned b) {
  switch (letter) {
    case 'a':
      return is_alpha(b);
    case 'c':
      return b < 32 || b == 127;
    case 'd':
      return is_digit(b);
    case 'g':
      return is_graph(b);
    case 'l':
      return b - 'a' < 26;
    case 'p':
      return is_graph(b) && !is_alpha(b) && !is_digit(b);
    case 's':
      return b == ' ' || b - '\t' < 5;
    case 'u':
      return b - 'A' < 26;
    case 'w':
      return is_alpha(b) || is_digit(b);
    case 'x':
      return is_digit(b) || (b | 32) - 'a' < 6;
    default:
      return b == 0; /* z, from Lua 5.1 */
  }
}

/* `%x`: a class for the letters that name one, else the character itself. */
static void add_escaped(bitset *set, char c) {
  char lower = (char)(is_alpha((unsigned char)c) ? c | 32 : c);
  if (lower == 0 || strchr("acdglpsuwxz", lower) == NULL) {
    add_byte(set, (unsigned char)c);
    return;
  }
  for (unsigned byte = 0; byte < 256; byte++)
    if (in_letter_class(lower, byte) == (c == lower)) add_byte(set, byte);
}

/* Where the `]` of the set that begins at pattern[0] stands; 0 if nowhere. As
 * in Lua, a `]` in first place is an ordinary member. */
static size_t set_end(const char *pattern, size_t length) {
  size_t at = length > 1 && pattern[1] == '^' ? 2 : 1;
  do {
    if (at >= length) return 0;
    if (pattern[at++] == '%') at++;
  } while (at >= length || pattern[at] != ']');
  return at;
}

static void parse_set(bitset *set, const char *pattern, size_t end) {
  bool inverted = pattern[1] == '^';
  for (size_t at = inverted ? 2 : 1; at < end; at++) {
    unsigned char c = (unsigned char)pattern[at];
    if (c == '%') {
      add_escaped(set, pattern[++at]);
    } else if (at + 2 < end && pattern[at + 1] == '-') {
      add_range(set, c, (unsigned char)pattern[at + 2]);
      at += 2;
    } else {
      add_byte(set, c);
    }
  }
  if (inverted)
    for (int i = 0; i < 4; i++) set->bits[i] = ~set->bits[i];
}

np_status np_class_parse(np_class *out, const char *pattern, size_t length) {
  bitset set = {{0, 0, 0, 0}};
  size_t end = 1; /* behind the class */
  if (length < 2) return NP_RANGE;
  if (pattern[0] == '[') {
    size_t close = set_end(pattern, length);
    if (close == 0) return NP_RANGE;
    parse_set(&set, pattern, close);
    end = close + 1;
  } else if (pattern[0] == '%') {
    char c = pattern[1];
    if (c == 'b' || c == 'f' || is_digit((unsigned char)c)) return NP_RANGE;
    add_escaped(&set, c);
    end = 2;
  } else if (pattern[0] == '.') {
    add_range(&set, 0, 255);
  } else if (memchr("^$()*+-?]", pattern[0], 9) != NULL) {
    return NP_RANGE;
  } else {
    add_byte(&set, (unsigned char)pattern[0]);
  }
  if (end + 1 != length || pattern[end] != '+') return NP_RANGE;
  np_class_make(out, set.bits);
  return NP_OK;
}

/* How many ranges make up the set, stored as far as there is room. */
static int find_ranges(np_class *class, bool inverted) {
  int count = 0;
  for (unsigned byte = 0; byte < 256; byte++) {
    if (np_class_has(class, (uint8_t)byte) == inverted) continue;
    unsigned first = byte;
    while (byte < 255 && np_class_has(class, (uint8_t)(byte + 1)) != inverted)
      byte++;
    if (count == 4) return 5;
    class->first[count] = (uint8_t)first;
    class->width[count++] = (uint8_t)(byte - first);
  }
  return count;
}

void np_class_make(np_class *out, const uint64_t bits[4]) {
  np_class class = {.level = (uint8_t)np_scan_level()};
  memcpy(class.bits, bits, sizeof class.bits);
  for (unsigned byte = 0; byte < 256; byte++)
    if (np_class_has(&class, (uint8_t)byte))
      class.rows[byte >> 7][byte & 15] |= (uint8_t)(1 << ((byte >> 4) & 7));
  int count = find_ranges(&class, false);
  if (count == 5) {
    count = find_ranges(&class, true);
    class.inverted = 1;
  }
  class.range_count = (uint8_t)count;
  *out = class;
}

void np_class_invert(np_class *out, const np_class *class) {
  uint64_t bits[4];
  for (int i = 0; i < 4; i++) bits[i] = ~class->bits[i];
  uint8_t level = class->level;
  np_class_make(out, bits);
  out->level = level;
}

void np_class_space(np_class *out) { (void)np_class_parse(out, "%s+", 3); }

void np_class_newline(np_class *out) { (void)np_class_parse(out, "\n+", 2); }

void np_class_set_level(np_class *class, int level) {
  if (level < class->level) class->level = (uint8_t)level;
}

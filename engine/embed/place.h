/* place.h - where this library's code is, for workers' FFI to find it. */
#ifndef NP_EMBED_PLACE_H
#define NP_EMBED_PLACE_H
#include <stdbool.h>
#include <stddef.h>

/* Fills `path` for ffi.load. False: the process exports our symbols already, so
 * that ffi.C has them (a static host linked with -rdynamic). Any thread. */
bool np_place_of_library(char *path, size_t size);

#endif

/* embedded.h - what the build puts into the library: the Lua modules of
 * lua/neap and the declarations that LuaJIT's FFI sees. cmake/embed.lua writes
 * the definitions into build/<preset>/gen/embedded.c. Constant; any thread. */
#ifndef NP_BASE_EMBEDDED_H
#define NP_BASE_EMBEDDED_H

typedef struct {
  const char *name; /* As `require` knows it: "neap", "neap.sync.mutex". */
  const char *data; /* Lua source; a zero byte follows that size leaves out. */
  unsigned long size;
} np_embedded_module;

/* Sorted by name. */
extern const np_embedded_module np_embedded_modules[];
extern const unsigned long np_embedded_module_count;

/* Every region between cdef:begin and cdef:end, lower rooms first, without
 * comments: ready for ffi.cdef. */
extern const char np_embedded_cdef[];

#endif

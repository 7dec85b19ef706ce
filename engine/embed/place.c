#include "embed/place.h"

#include <dlfcn.h>
#include <stdio.h>

#include "neap.h"

bool np_place_of_library(char *path, size_t size) {
  Dl_info here, global;
  void *seen = dlsym(RTLD_DEFAULT, "npl_cdef");
  /* A function pointer is no object pointer in ISO C; POSIX says it is. */
  union {
    uint32_t (*function)(void);
    void *address;
  } own = {neap_version};
  if (dladdr(own.address, &here) == 0) return false;
  /* Another copy of us in the process, perhaps another version, does not do. */
  if (seen != NULL && dladdr(seen, &global) != 0 &&
      global.dli_fbase == here.dli_fbase)
    return false;
  int length = snprintf(path, size, "%s", here.dli_fname);
  return length > 0 && (size_t)length < size;
}

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "embed/host.h"

uint32_t neap_version(void) { return NEAP_HEADER_VERSION; }

const char *neap_status_name(int status) {
  switch (status) {
    case NEAP_OK:
      return "ok";
    case NEAP_READY:
      return "ready";
    case NEAP_TIMER:
      return "timer";
    case NEAP_AGAIN:
      return "again";
    case NEAP_TIMEOUT:
      return "timeout";
    case NEAP_INTERRUPTED:
      return "interrupted";
    case NEAP_CLOSED:
      return "closed";
    case NEAP_FORKED:
      return "forked";
    case NEAP_BUSY:
      return "busy";
    case NEAP_ARGUMENT:
      return "argument";
    case NEAP_MEMORY:
      return "memory";
    case NEAP_LIMIT:
      return "limit";
    case NEAP_SYSTEM:
      return "system";
    case NEAP_VERSION_MISMATCH:
      return "version_mismatch";
    case NEAP_STATE:
      return "state";
    default:
      return "unknown";
  }
}

int neap_abi_check(uint32_t version, size_t config, size_t event,
                   size_t error) {
  bool fits = version >> 16 == NEAP_VERSION_MAJOR &&
              config <= sizeof(neap_config) && event == sizeof(neap_event) &&
              error == sizeof(neap_error);
  return fits ? NEAP_OK : NEAP_VERSION_MISMATCH;
}

int np_host_status(int32_t status) {
  switch (status) {
    case NP_OK:
      return NEAP_OK;
    case NP_AGAIN:
      return NEAP_AGAIN;
    case NP_CLOSED:
      return NEAP_CLOSED;
    case NP_TIMEOUT:
      return NEAP_TIMEOUT;
    case NP_NOMEM:
      return NEAP_MEMORY;
    case NP_LIMIT:
      return NEAP_LIMIT;
    case NP_RANGE:
      return NEAP_ARGUMENT;
    case NP_FORKED:
      return NEAP_FORKED;
    case NP_STATE:
      return NEAP_STATE;
    default:
      return NEAP_SYSTEM;
  }
}

int np_host_fail(neap_error *error, int status, const char *format, ...) {
  if (error == NULL) return status;
  memset(error, 0, sizeof *error);
  error->status = status;
  snprintf(error->kind, sizeof error->kind, "%s", neap_status_name(status));
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(error->message, sizeof error->message, format, arguments);
  va_end(arguments);
  return status;
}

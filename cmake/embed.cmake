# gen/embedded.c: the Lua modules and the FFI's declarations, as C.
# The list is a file of its own, so that a module that goes away is noticed.
file(GLOB_RECURSE embed_sources CONFIGURE_DEPENDS
  "${PROJECT_SOURCE_DIR}/lua/neap/*.lua" "${PROJECT_SOURCE_DIR}/lua/neap.lua")
file(GLOB embed_headers CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/engine/*/*.h")
list(APPEND embed_sources ${embed_headers})
list(JOIN embed_sources "\n" embed_list)
file(GENERATE OUTPUT "${PROJECT_BINARY_DIR}/gen/embed.list"
  CONTENT "${embed_list}\n")

set(NEAP_EMBEDDED "${PROJECT_BINARY_DIR}/gen/embedded.c")
add_custom_command(OUTPUT "${NEAP_EMBEDDED}"
  COMMAND "${LUAJIT_PROGRAM}" "${PROJECT_SOURCE_DIR}/cmake/embed.lua"
    "${PROJECT_SOURCE_DIR}/scripts/tools/layers"
    "${PROJECT_BINARY_DIR}/gen/embed.list" "${NEAP_EMBEDDED}"
  DEPENDS ${embed_sources} "${PROJECT_BINARY_DIR}/gen/embed.list"
    "${PROJECT_SOURCE_DIR}/cmake/embed.lua"
    "${PROJECT_SOURCE_DIR}/scripts/tools/layers"
  COMMENT "Embedding lua/neap and the cdef regions" VERBATIM)
set_source_files_properties("${NEAP_EMBEDDED}" PROPERTIES
  COMPILE_OPTIONS "-Wno-overlength-strings")

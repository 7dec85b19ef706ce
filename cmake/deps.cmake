# LuaJIT and libuv as neap_luajit and neap_libuv, and LUAJIT_PROGRAM, the
# interpreter that runs build steps.
#   private  static, hidden copies that scripts/setup built in build/deps
#   system   what pkg-config finds: no interrupts, no memory caps
set(NEAP_DEPS private CACHE STRING "private or system LuaJIT and libuv")
set_property(CACHE NEAP_DEPS PROPERTY STRINGS private system)
add_library(neap_luajit INTERFACE)
add_library(neap_libuv INTERFACE)

if(NEAP_DEPS STREQUAL "private")
  set(NEAP_DEPS_DIR "${PROJECT_SOURCE_DIR}/build/deps" CACHE PATH
    "where scripts/setup built LuaJIT and libuv")
  set(NEAP_LIBLUAJIT "${NEAP_DEPS_DIR}/lib/libluajit.a")
  set(NEAP_LIBUV "${NEAP_DEPS_DIR}/lib/libuv.a")
  if(NOT EXISTS "${NEAP_LIBLUAJIT}" OR NOT EXISTS "${NEAP_LIBUV}")
    message(FATAL_ERROR "${NEAP_DEPS_DIR} holds no LuaJIT and libuv yet: "
      "run scripts/setup, or configure with -DNEAP_DEPS=system.")
  endif()
  set(LUAJIT_PROGRAM "${NEAP_DEPS_DIR}/bin/luajit")
  target_include_directories(neap_luajit SYSTEM INTERFACE
    "${NEAP_DEPS_DIR}/include" "${NEAP_DEPS_DIR}/include/luajit-2.1")
  target_include_directories(neap_libuv SYSTEM INTERFACE
    "${NEAP_DEPS_DIR}/include")
  target_link_libraries(neap_luajit INTERFACE "${NEAP_LIBLUAJIT}" m dl)
  target_link_libraries(neap_libuv INTERFACE "${NEAP_LIBUV}" pthread dl rt)
  target_compile_definitions(neap_luajit INTERFACE NP_DEPS_PRIVATE=1)
elseif(NEAP_DEPS STREQUAL "system")
  find_package(PkgConfig REQUIRED)
  pkg_check_modules(luajit REQUIRED IMPORTED_TARGET luajit)
  pkg_check_modules(libuv REQUIRED IMPORTED_TARGET libuv)
  find_program(LUAJIT_PROGRAM luajit REQUIRED)
  target_link_libraries(neap_luajit INTERFACE PkgConfig::luajit)
  target_link_libraries(neap_libuv INTERFACE PkgConfig::libuv pthread)
  target_compile_definitions(neap_luajit INTERFACE NP_DEPS_PRIVATE=0)
else()
  message(FATAL_ERROR "NEAP_DEPS is private or system, not '${NEAP_DEPS}'")
endif()

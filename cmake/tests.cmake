# engine/<room>/<name>_test.c becomes build/<preset>/tests/<room>_<name>, linked
# with its room and those below. `all` leaves them out; target `tests` is all of
# them and each is a target of its own. Debug builds only: the tests count live
# blocks and make allocations fail, which release builds cannot.
add_custom_target(tests)
if(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
  return()
endif()
find_package(PkgConfig)
if(PkgConfig_FOUND)
  pkg_check_modules(cmocka IMPORTED_TARGET cmocka)
endif()
if(NOT cmocka_FOUND)
  message(STATUS "No cmocka: no C tests. scripts/setup --dev installs it.")
  return()
endif()

foreach(room IN LISTS NEAP_ROOMS)
  file(GLOB tests CONFIGURE_DEPENDS "engine/${room}/*_test.c")
  foreach(source IN LISTS tests)
    get_filename_component(name "${source}" NAME_WE)
    string(REGEX REPLACE "_test$" "" name "${room}_${name}")
    add_executable(${name} EXCLUDE_FROM_ALL "${source}")
    set_target_properties(${name} PROPERTIES
      RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/tests")
    target_link_libraries(${name} PRIVATE np_${room} PkgConfig::cmocka)
    target_link_options(${name} PRIVATE -rdynamic) # For np_assert's backtrace.
    if(room STREQUAL "embed") # The workers' Lua calls it by name.
      target_sources(${name} PRIVATE $<TARGET_OBJECTS:np_bind>)
    endif()
    add_dependencies(tests ${name})
  endforeach()
endforeach()

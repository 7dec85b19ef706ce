# One archive a room, np_<room>, that links the rooms below it and no other:
# a call upwards is an undefined symbol in that room's own tests.
# Sets NEAP_OBJECTS (all rooms but cli), NEAP_ROOMS (those that have code) and
# NEAP_HAS_CLI.
file(STRINGS scripts/tools/layers layer_lines REGEX "^[a-z]+ +[0-9]+")
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS
  "${PROJECT_SOURCE_DIR}/scripts/tools/layers")
set(NEAP_OBJECTS "")
set(NEAP_ROOMS "")
set(NEAP_HAS_CLI OFF)

foreach(line IN LISTS layer_lines)
  string(REGEX MATCH "^([a-z]+) +([0-9]+)" matched "${line}")
  set(room "${CMAKE_MATCH_1}")
  set(number "${CMAKE_MATCH_2}")
  file(GLOB sources CONFIGURE_DEPENDS "engine/${room}/*.c")
  list(FILTER sources EXCLUDE REGEX "_test\\.c$")
  if(room STREQUAL "base") # So that script, room 5, may read it.
    list(APPEND sources "${NEAP_EMBEDDED}")
  endif()
  if(NOT sources)
    continue()
  endif()

  add_library(np_${room} STATIC ${sources})
  target_include_directories(np_${room} PUBLIC engine engine/include)
  target_link_libraries(np_${room} PUBLIC neap_luajit neap_libuv)
  foreach(other IN LISTS NEAP_ROOMS)
    if(NEAP_NUMBER_${other} LESS number)
      target_link_libraries(np_${room} PUBLIC np_${other})
    endif()
  endforeach()
  set(NEAP_NUMBER_${room} ${number})
  list(APPEND NEAP_ROOMS ${room})
  if(room STREQUAL "cli")
    set(NEAP_HAS_CLI ON)
  else()
    list(APPEND NEAP_OBJECTS $<TARGET_OBJECTS:np_${room}>)
  endif()
endforeach()

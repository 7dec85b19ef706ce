#include "script/main.h"

#include <lauxlib.h>
#include <lua.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct command_line {
  int argc;
  char **argv;
} command_line;

static int start_command(lua_State *L) {
  const command_line *line = lua_touserdata(L, 1);
  lua_settop(L, 0);
  lua_getglobal(L, "require");
  lua_pushliteral(L, "neap.cli");
  lua_call(L, 1, 1);
  lua_getfield(L, -1, "start");
  lua_createtable(L, line->argc, 1);
  for (int i = 0; i < line->argc; i++) {
    lua_pushstring(L, line->argv[i]);
    lua_rawseti(L, -2, i);
  }
  lua_call(L, 1, 0);
  return 0;
}

/* Armed until code of the user's comes along: ours must not be torn. */
static void interrupt(lua_State *L, lua_Debug *at) {
  if (lua_getinfo(L, "S", at) == 0 || strncmp(at->source, "@neap:", 6) == 0 ||
      strncmp(at->source, "=neap/", 6) == 0 || *at->what == 'C')
    return;
  lua_sethook(L, NULL, 0, 0);
  luaL_error(L, "interrupted");
}

void np_script_interrupt(np_worker *worker) {
  lua_sethook(np_script_lua(worker), interrupt,
              LUA_MASKCALL | LUA_MASKRET | LUA_MASKCOUNT, 1);
}

void np_script_calm(np_worker *worker) {
  lua_sethook(np_script_lua(worker), NULL, 0, 0);
}

int np_script_main(np_worker *worker, int argc, char **argv) {
  lua_State *L = np_script_lua(worker);
  command_line line = {argc, argv};
  lua_pushcfunction(L, start_command);
  lua_pushlightuserdata(L, &line);
  if (lua_pcall(L, 1, 0, 0) != 0) {
    const char *message = lua_tostring(L, -1);
    fprintf(stderr, "neap: %s\n", message != NULL ? message : "cannot start");
    lua_pop(L, 1);
    return EXIT_FAILURE;
  }
  np_worker_loop(worker);
  return worker->exit_status;
}

#include "script/state.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/embedded.h"

typedef struct np_script {
  lua_State *lua;
  int fresh;  /* fresh(slot) -> coroutine */
  int failed; /* failed(slot, coroutine, error) */
} np_script;

lua_State *np_script_lua(np_worker *worker) {
  return ((np_script *)worker->state)->lua;
}

/* --- modules from the library ----------------------------------------------
 */

static const np_embedded_module *find_module(const char *name) {
  for (unsigned long i = 0; i < np_embedded_module_count; i++)
    if (strcmp(np_embedded_modules[i].name, name) == 0)
      return &np_embedded_modules[i];
  return NULL;
}

static int search_embedded(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  const np_embedded_module *module = find_module(name);
  if (module == NULL) {
    lua_pushfstring(L, "\n\tno module '%s' in the neap library", name);
    return 1;
  }
  /* "neap" is neap.init, so that one prefix tells our frames from others'. */
  lua_pushfstring(L, strchr(name, '.') != NULL ? "@neap:%s" : "@neap:%s.init",
                  name);
  if (luaL_loadbuffer(L, module->data, module->size, lua_tostring(L, -1)) != 0)
    return lua_error(L);
  return 1;
}

/* First of all searchers but the preload: a stray neap/ directory on the path
 * must not mix versions. A guest's workers load no C modules: those may keep
 * state that belongs to the host's threads. */
static void install_searchers(lua_State *L, const np_script_config *config) {
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "loaders");
  int loaders = lua_gettop(L), count = (int)lua_objlen(L, loaders);
  if (config->guest) {
    for (int i = count; i > 2; i--) {
      lua_pushnil(L);
      lua_rawseti(L, loaders, i);
    }
    count = count > 2 ? 2 : count;
  }
  for (int i = count; i >= 2; i--) {
    lua_rawgeti(L, loaders, i);
    lua_rawseti(L, loaders, i + 1);
  }
  lua_pushcfunction(L, search_embedded);
  lua_rawseti(L, loaders, 2);
  if (config->path != NULL) {
    lua_pushstring(L, config->path);
    lua_setfield(L, -3, "path");
  }
  if (config->cpath != NULL) {
    lua_pushstring(L, config->cpath);
    lua_setfield(L, -3, "cpath");
  }
  lua_pop(L, 2);
}

/* --- what neap.own offers --------------------------------------------------
 */

static int stop(lua_State *L) {
  np_worker *worker = lua_touserdata(L, lua_upvalueindex(1));
  worker->exit_status = (int)luaL_optinteger(L, 1, 0);
  worker->stop_by = np_clock_now(); /* All tasks of the main scope ended. */
  atomic_store(&worker->stopping, true);
  return 0;
}

/* Runs the scheduler from code that is in no task (the modules' own start-up)
 * until what that code waits for has come. */
static int pump(lua_State *L) {
  np_worker *worker = lua_touserdata(L, lua_upvalueindex(1));
  np_task *task;
  while ((task = np_worker_next(worker, NP_NEVER)) != NULL) {
    if (task == &worker->outside) break;
    np_worker_step(worker, task);
  }
  lua_pushinteger(L, task != NULL ? worker->waker.front.code : NP_CANCELED);
  return 1;
}

static lua_State *fresh_coroutine(np_worker *worker, np_task *task) {
  np_script *script = worker->state;
  lua_State *L = script->lua;
  lua_rawgeti(L, LUA_REGISTRYINDEX, script->fresh);
  lua_pushinteger(L, (lua_Integer)task->slot);
  if (lua_pcall(L, 1, 1, 0) != 0) { /* No memory for a coroutine. */
    lua_pop(L, 1);
    return NULL;
  }
  task->state = lua_tothread(L, -1); /* The table of tasks keeps it. */
  lua_pop(L, 1);
  return task->state;
}

/* The coroutine died of an error: Lua runs what was deferred and tells the
 * scope. A failure in that is a bug of ours or no memory: the task just ends.
 */
static void report_failure(np_worker *worker, np_task *task, lua_State *co) {
  np_script *script = worker->state;
  lua_State *L = script->lua;
  task->state = NULL;
  lua_rawgeti(L, LUA_REGISTRYINDEX, script->failed);
  lua_pushinteger(L, (lua_Integer)task->slot);
  lua_pushthread(co);
  lua_xmove(co, L, 1);
  if (lua_gettop(co) > 0) {
    lua_pushvalue(co, -1);
    lua_xmove(co, L, 1);
  } else {
    lua_pushnil(L);
  }
  if (lua_pcall(L, 3, 0, 0) == 0) return;
  np_assert(!"neap.task failed in its failure handler");
  lua_pop(L, 1);
  np_task_end(worker, task, NP_TASK_FAILED, (np_value){.tag = NP_NOTHING});
}

static void step(np_worker *worker, np_task *task) {
  lua_State *co = task->state;
  if (np_unlikely(co == NULL)) {
    co = fresh_coroutine(worker, task);
    if (co == NULL) {
      np_task_end(worker, task, NP_TASK_FAILED, (np_value){.tag = NP_NOTHING});
      return;
    }
  }
  lua_pushinteger(co, worker->waker.front.code);
  if (np_unlikely(lua_resume(co, 1) != LUA_YIELD))
    report_failure(worker, task, co);
}

/* --- opening
 * ------------------------------------------------------------------ */

static void push_own(np_worker *worker, const np_script_config *config) {
  lua_State *L = np_script_lua(worker);
  lua_createtable(L, 0, 6);
  lua_pushlightuserdata(L, worker);
  lua_setfield(L, -2, "worker");
  lua_pushlightuserdata(L, worker);
  lua_pushcclosure(L, stop, 1);
  lua_setfield(L, -2, "stop");
  lua_pushlightuserdata(L, worker);
  lua_pushcclosure(L, pump, 1);
  lua_setfield(L, -2, "pump");
  if (config->library != NULL)
    lua_pushstring(L, config->library);
  else
    lua_pushboolean(L, 0);
  lua_setfield(L, -2, "library");
  lua_pushboolean(L, config->guest);
  lua_setfield(L, -2, "guest");
}

static int keep_handler(lua_State *L, const char *name) {
  lua_getfield(L, -1, name);
  np_assert(lua_isfunction(L, -1));
  return luaL_ref(L, LUA_REGISTRYINDEX);
}

/* Programs with many pipelines make more traces than the default of 1,000, and
 * a full cache is thrown away whole. Only in our own states. */
static void widen_jit(lua_State *L) {
  lua_getglobal(L, "jit");
  lua_getfield(L, -1, "opt");
  lua_getfield(L, -1, "start");
  lua_pushliteral(L, "maxtrace=8000");
  lua_pushliteral(L, "maxmcode=8192");
  lua_call(L, 2, 0);
  lua_pop(L, 2);
}

static int open_protected(lua_State *L) {
  np_worker *worker = lua_touserdata(L, 1);
  const np_script_config *config = lua_touserdata(L, 2);
  np_script *script = worker->state;
  lua_settop(L, 0);
  luaL_openlibs(L);
  widen_jit(L);
  install_searchers(L, config);
  lua_getfield(L, LUA_REGISTRYINDEX, "_LOADED");
  push_own(worker, config);
  lua_setfield(L, -2, "neap.own");
  lua_pop(L, 1);
  lua_getglobal(L, "require");
  lua_pushliteral(L, "neap.task");
  lua_call(L, 1, 1);
  script->fresh = keep_handler(L, "fresh");
  script->failed = keep_handler(L, "failed");
  /* Where `print` goes, and what a guest must not touch. */
  lua_getglobal(L, "require");
  lua_pushstring(L, config->guest ? "neap.embed.guest" : "neap.cli.print");
  lua_call(L, 1, 0);
  return 0;
}

np_status np_script_open(np_worker *worker, const np_script_config *config,
                         char *error, size_t room) {
  np_script *script = np_alloc_zero(sizeof *script);
  if (script == NULL) return NP_NOMEM;
  script->lua = luaL_newstate();
  if (script->lua == NULL) {
    np_free(script);
    return NP_NOMEM;
  }
  worker->state = script;
  worker->step = step;
  /* cpcall: not even the pushing of arguments may raise unprotected. */
  lua_State *L = script->lua;
  lua_pushcfunction(L, open_protected);
  lua_pushlightuserdata(L, worker);
  lua_pushlightuserdata(L, (void *)(uintptr_t)config);
  if (lua_pcall(L, 2, 0, 0) == 0) return NP_OK;
  const char *message = lua_tostring(L, -1);
  if (error != NULL && room != 0)
    snprintf(error, room, "%s", message != NULL ? message : "?");
  np_script_close(worker);
  return NP_STATE;
}

void np_script_close(np_worker *worker) {
  np_script *script = worker->state;
  if (script == NULL) return;
  lua_close(script->lua);
  worker->state = NULL;
  np_free(script);
}

void np_script_thread(np_worker *worker) {
  char error[256] = "";
  np_status status =
      np_script_open(worker, worker->engine->script, error, sizeof error);
  if (status != NP_OK) {
    np_worker_report(worker, status);
    return;
  }
  np_worker_loop(worker);
  np_worker_drop_tasks(worker); /* Out of time, or posted too late. */
  np_script_close(worker);
}

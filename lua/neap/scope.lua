--- Scopes: a function whose tasks have all ended when it returns. The first error cancels the rest
--- and is raised here.
local args = require 'neap.args'
local errors = require 'neap.errors'
local ffi = require 'ffi'
local native = require 'neap.ffi'
local scheduler = require 'neap.scheduler'
local task = require 'neap.task'
local value = require 'neap.value'
local C, W, V = native.C, native.W, native.V
local OK, AGAIN, MESSAGE, DEADLOCK = native.OK, native.AGAIN, native.MESSAGE, native.DEADLOCK

local scope = {}

-- Isolated tasks by the address of the scope that they belong to.
local isolated = {}

local function address(pointer) return tonumber(ffi.cast('intptr_t', pointer)) end

-- A scope that lives long starts many: those that are over are forgotten now and then.
local FEW = 32

local function forget_settled(list)
  local kept, count = 0, #list
  for index = 1, count do
    local object = list[index]
    if not object:settled() then
      kept = kept + 1
      list[kept] = object
    end
  end
  for index = kept + 1, count do list[index] = nil end
  list.limit = math.max(FEW, 2 * kept)
end

function scheduler.keep_isolated(object)
  local context = C.npl_current(W)
  local key = address(context)
  C.npl_object_release(value.object(context))
  local list = isolated[key]
  if not list then
    list = { limit = FEW }
    isolated[key] = list
  end
  if #list >= list.limit then forget_settled(list) end
  list[#list + 1] = object
end

local function no_memory() return errors.raise(errors.memory 'a scope') end

local function cancel_with(context, e)
  local ok = pcall(value.put, e)
  if not ok then value.put(tostring(e)) end
  C.npl_context_cancel(W, context)
end

-- A cancellation is no answer to "what went wrong" if a task's own error is at hand.
local function is_follow_up(e) return e == nil or e.kind == 'canceled' or e.kind == 'deadline' end

--- Waits for all tasks. A deadlock found meanwhile, or a wait left behind in a coroutine of the
--- user's own, cancels them and is returned.
--- @return neap.Error|nil problem
--- @return boolean waited there was something to wait for
local function wait_all(context)
  local problem, waited = nil, false
  repeat
    local status = C.npl_scope_wait(W, context)
    if status == OK then return problem, waited end
    waited = true
    local code = scheduler.wait(status)
    local found = code == DEADLOCK and require('neap.watch.deadlock').describe()
      or code == native.STATE and errors.state(scheduler.OWN_COROUTINE) or nil
    if found then
      problem = problem or found
      cancel_with(context, found)
    end
  until false
end

local function task_error(context)
  local code = C.npl_scope_error(W, context)
  if code == AGAIN then return nil end
  if code == MESSAGE then return value.take() end
  local e = V[code]
  V[code] = false
  return e
end

local function unclaimed_error(context)
  local key = address(context)
  local list = isolated[key]
  if not list then return nil end
  isolated[key] = nil
  for index = 1, #list do
    local e = list[index]:unclaimed()
    if e then return e end
  end
end

local function release(pointer) C.npl_object_release(value.object(pointer)) end

-- What cut the tasks of a scope short while its owner, whose function had returned, waited for
-- them: its deadline, or the end of what is around it. Canceling it from within is no failure.
local function cut_short(context, before)
  local ended = C.npl_context_state(context)
  if before ~= OK or ended == OK then return false end
  return ended == native.TIMEOUT and errors.deadline() or true
end

local function raise_first(e, failed, problem, kept, cut)
  if failed and is_follow_up(e) then e = failed end
  if problem and is_follow_up(e) then e = problem end
  e = e or kept
  if e then return error(e, 0) end
  if cut == true then
    if C.npl_must_end(W) then return scheduler.raise(native.CANCELED, 'scope') end
  elseif cut then
    return error(cut, 0)
  end
end

-- `ok, ...` is what the function did.
local function leave(context, outer, shielded, ok, ...)
  local e = not ok and (...) or nil
  local before = C.npl_context_state(context)
  if e then cancel_with(context, e) end
  local problem, waited = wait_all(context)
  local cut = waited and not shielded and cut_short(context, before)
  local failed = task_error(context)
  local kept = unclaimed_error(context)
  value.put(nil)
  C.npl_context_cancel(W, context) -- What was derived from it ends with it.
  C.npl_scope_leave(W, context, outer)
  release(context)
  release(outer)
  raise_first(e, failed, problem, kept, cut)
  return ...
end

--- Runs `fn` in a scope under `context` (owned by this call); returns what `fn` returns.
local function run_under(context, fn, ...)
  if context == nil then no_memory() end
  local outer = C.npl_current(W)
  C.npl_scope_enter(W, context)
  return leave(context, outer, false, xpcall(fn, errors.catch, ...))
end
scope.run_under = run_under

local function run_shielded(context, fn, ...)
  if context == nil then no_memory() end
  local outer = C.npl_current(W)
  C.npl_scope_enter(W, context)
  return leave(context, outer, true, xpcall(fn, errors.catch, ...))
end

--- Runs `fn` here; returns its results when all tasks started inside have ended.
function scope.scope(fn, ...)
  args.callable(fn, 'fn')
  return run_under(C.npl_scope_open(W, nil), fn, ...)
end

local function deadline_scope(at, fn, ...)
  local parent = C.npl_current(W)
  value.put(nil)
  local context = C.npl_context_until(W, parent, at)
  release(parent)
  return run_under(context, fn, ...)
end

--- @param seconds number how long `fn` and its tasks may take
function scope.with_timeout(seconds, fn, ...)
  args.seconds(seconds, 'seconds')
  args.callable(fn, 'fn')
  return deadline_scope(C.npl_now(W) + seconds, fn, ...)
end

--- @param at number as `neap.now()`
function scope.with_deadline(at, fn, ...)
  args.number(at, 'at')
  args.callable(fn, 'fn')
  return deadline_scope(at, fn, ...)
end

--- Runs `fn` in a scope under a child of the given context.
function scope.with_context(ctx, fn, ...)
  require('neap.context').check(ctx)
  args.callable(fn, 'fn')
  return run_under(C.npl_scope_open(W, ctx.h), fn, ...)
end

--- Runs `fn` where no cancellation from outside reaches it, for `seconds` at most.
function scope.shielded(seconds, fn, ...)
  local parent = C.npl_current(W)
  local free = C.npl_context_detached(W, parent)
  release(parent)
  if free == nil then no_memory() end
  value.put(nil)
  local context = seconds and C.npl_context_until(W, free, C.npl_now(W) + seconds)
    or C.npl_scope_open(W, free)
  release(free)
  return run_shielded(context, fn, ...)
end

local function unshield(before, ...)
  C.npl_shield(W, before)
  return ...
end

local function shield_end(before, ok, ...)
  unshield(before)
  if not ok then return error((...), 0) end
  return ...
end

--- Runs `fn` here, unreachable for cancellation.
function scope.shield(fn, ...)
  args.callable(fn, 'fn')
  local before = C.npl_shield(W, true)
  return shield_end(before, xpcall(scope.shielded, errors.catch, nil, fn, ...))
end

--- Runs `fn` when the task ends, however it ends, last first; blocking calls work inside.
function scope.defer(fn, ...)
  args.callable(fn, 'fn')
  local self = task.current()
  if not self or C.npl_is_outside(W) then
    return errors.raise(errors.state(
      'neap.defer outside any task; fix: neap.run(function() ... end)'))
  end
  local list = self.deferred
  if not list then
    list = {}
    self.deferred = list
  end
  list[#list + 1] = { fn, n = select('#', ...) + 1, ... }
end

local function main_body(fn, ...)
  C.npl_main(W, true)
  return scope.scope(fn, ...)
end

local function end_run(...)
  C.npl_main(W, true) -- The outside again.
  return ...
end

local function run_end(ok, ...)
  end_run()
  if not ok then return error((...), 0) end
  return ...
end

--- Runs `fn` as the main task; returns its results when every task in its scope has ended. Inside
--- a task it is `scope`, so that a file runs alike under `neap` and `luajit`.
function scope.run(fn, ...)
  args.callable(fn, 'fn')
  if not C.npl_is_outside(W) then return scope.scope(fn, ...) end
  local main = task.go({ name = 'main', isolated = true }, main_body, fn, ...)
  return run_end(pcall(main.join, main))
end

return scope

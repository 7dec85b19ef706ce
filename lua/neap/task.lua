--- Tasks: starting them and waiting for them.
---
--- A task object of this worker is a small array (neap.task.record); a task elsewhere is known by
--- its outcome, a counted C object (neap.outcome). A coroutine stays with its slot and runs one
--- task after the other (neap.task.ending), so starting a task usually makes none.
local args = require 'neap.args'
local errors = require 'neap.errors'
local native = require 'neap.ffi'
local outcome = require 'neap.outcome'
local record = require 'neap.task.record'
local scheduler = require 'neap.scheduler'
local value = require 'neap.value'
require 'neap.task.ending'
local C, W = native.C, native.W
local PARKED, YIELD = native.PARKED, native.YIELD
local park, tasks = scheduler.park, scheduler.tasks
local select, type, unpack, setmetatable = select, type, unpack, setmetatable

local FN, SLOT, GENERATION, STATE = record.FN, record.SLOT, record.GENERATION, record.STATE
local COUNT, VALUE = record.COUNT, record.VALUE
local LIVE, SUCCEEDED = record.LIVE, record.SUCCEEDED
local FAILED, CANCELED = record.FAILED, record.CANCELED
local Task, TaskMeta = record.Task, record.Meta
local DAEMON, ISOLATED = 1, 2

local task = {}

-- --- starting --------------------------------------------------------------------------------

local OPTIONS = {
  name = args.string, daemon = args.boolean, isolated = args.boolean,
  worker = function(v, name) return args.integer(v, name, 1, 256) end,
}

local function option_bits(options)
  return (options.daemon and DAEMON or 0) + (options.isolated and ISOLATED or 0)
end

local function no_task(what) return errors.raise(errors.memory(what)) end

-- Not vararg: such functions are never compiled by themselves, and a loop that makes a closure
-- for each task is not either.
local function start(bits, fn, count, v)
  local slot = C.npl_go(W, bits)
  if slot < 0 then no_task 'a task' end
  local self = setmetatable({ fn, slot, W.generation, LIVE, count, v, false, W.id }, TaskMeta)
  tasks[slot] = self
  return self
end

local function go_options(options, fn, ...)
  if type(options) ~= 'table' then args.func(options, 'fn') end
  args.options(options, OPTIONS, 'go')
  args.callable(fn, 'fn')
  local count = select('#', ...)
  local self = start(option_bits(options), fn, count, count > 1 and { ... } or (...))
  self.name = options.name
  self.daemon = options.daemon
  if options.isolated then
    self.isolated = true
    scheduler.keep_isolated(self)
  end
  return self
end

--- Starts a task on this worker; it belongs to the innermost scope.
--- @param fn function or a table of options (name, daemon, isolated) before it
--- @return neap.Task
function task.go(fn, ...)
  if type(fn) ~= 'function' then return go_options(fn, ...) end
  local count = select('#', ...)
  if count <= 1 then return start(0, fn, count, (...)) end
  return start(0, fn, count, { ... })
end

local function spawn(options, fn, ...)
  require('neap.engine').ensure_workers()
  value.put_all(select('#', ...) + 2, fn, options and options.name or false, ...)
  local h = C.npl_spawn(W, options and option_bits(options) or 0, options and options.worker or 0)
  if h ~= nil then
    local self = outcome.new(h, options and options.name)
    if options and options.isolated then scheduler.keep_isolated(self) end
    return self
  end
  local code = W.code
  if code == native.RANGE then
    local there = C.npl_workers(W)
    errors.raise(errors.argument(('worker %d: there are only %d'):format(options.worker, there)))
  end
  if code == native.LIMIT then errors.raise(errors.limit 'the queue of spawned tasks is full') end
  return no_task 'a spawned task'
end

local function spawn_options(options, fn, ...)
  if type(options) ~= 'table' then args.func(options, 'fn') end
  args.options(options, OPTIONS, 'spawn')
  args.callable(fn, 'fn')
  return spawn(options, fn, ...)
end

-- A stock LuaJIT 2.1.0-beta3 compiles these wrongly: the varargs turn into what the stack held
-- before (seen as the function itself instead of its first argument).
if not native.own then
  jit.off(go_options)
  jit.off(spawn_options)
end

--- Starts a task in the pool, in parallel. `fn`, its upvalues and arguments are copied now.
--- @param fn function or a table of options (name, worker, daemon, isolated) before it
--- @return neap.Task
function task.spawn(fn, ...)
  if type(fn) == 'function' then return spawn(nil, fn, ...) end
  return spawn_options(fn, ...)
end

-- --- waiting ---------------------------------------------------------------------------------

local function results(self)
  local count = self[COUNT]
  if count <= 1 then
    if count == 0 then return end
    return self[VALUE]
  end
  return unpack(self[VALUE], 1, count)
end

local function join_result(self)
  local state = self[STATE]
  if state == SUCCEEDED then return results(self) end
  self.joined = true
  if state == CANCELED then
    return error(errors.is(self[VALUE]) and self[VALUE] or errors.canceled(self[VALUE]), 0)
  end
  return error(self[VALUE], 0)
end

local after_join
local function join_slow(self, status)
  if status == PARKED or status == YIELD then return after_join(self, park()) end
  if status == native.PUMP then return after_join(self, scheduler.pump()) end
  if status < 0 then return scheduler.raise(status, 'join') end
  return join_result(self)
end

function after_join(self, code)
  if self[STATE] ~= LIVE then return join_result(self) end
  if code < 0 then return scheduler.raise(code, 'join') end
  return join_slow(self, C.npl_join_slot(W, self[SLOT], self[GENERATION]))
end

--- Waits for the task's end; returns its results or raises its error. An error of a task that is
--- not `isolated` has canceled the scope by then; `isolated` tasks are the futures.
function Task:join()
  if self[STATE] ~= LIVE then
    local status = C.npl_check(W)
    if status ~= native.OK then return join_slow(self, status) end
    return join_result(self)
  end
  return join_slow(self, C.npl_join_slot(W, self[SLOT], self[GENERATION]))
end

local function wait_result(self)
  if self[STATE] == SUCCEEDED then return true, results(self) end
  self.joined = true
  return false, self[VALUE]
end

--- For the end of a scope: the error of an isolated task that nobody came for.
function Task:unclaimed()
  if self[STATE] == FAILED and not self.joined then return self[VALUE] end
end

--- Whether `unclaimed` can never again have something to say.
function Task:settled()
  local state = self[STATE]
  return state ~= LIVE and (state ~= FAILED or self.joined == true)
end

--- Waits for the end without raising the task's error.
--- @param timeout? number seconds
--- @return boolean|nil ok true and the results; false and the error; nil: timed out
function Task:wait(timeout)
  args.timeout(timeout, 'timeout')
  local stop = timeout and C.npl_now(W) + timeout
  while self[STATE] == LIVE do
    local status = C.npl_join_slot(W, self[SLOT], self[GENERATION])
    if stop then status = C.npl_limit(W, status, stop - C.npl_now(W)) end
    status = scheduler.wait(status)
    if self[STATE] ~= LIVE then break end
    if status == native.TIMEOUT then return nil end
    if status < 0 then scheduler.raise(status, 'wait') end
  end
  return wait_result(self)
end

--- The outcome of a task of this worker, with a reference; nil when it has ended.
local function outcome_of(self)
  local h = C.npl_outcome(W, self[SLOT], self[GENERATION])
  if h == nil then return nil end
  return h
end

--- Asks the task to end: its next blocking call raises `canceled`.
--- @param cause? any
function Task:cancel(cause)
  if self[STATE] ~= LIVE then return false end
  local h = outcome_of(self)
  if h == nil then return false end
  value.put(cause)
  C.npl_outcome_cancel(W, h)
  C.npl_object_release(value.object(h))
  return true
end

--- The object to select on: done when the task is.
function task.waitable(self)
  if self.shared_outcome then return self.shared_outcome.h end
  local h = self[STATE] == LIVE and outcome_of(self) or nil
  if h == nil then return nil end
  self.shared_outcome = outcome.new(h, self.name)
  return h
end

--- A task goes to other workers as its outcome; from then on its results travel.
TaskMeta.__travel = function(self)
  local h = self[STATE] == LIVE and outcome_of(self) or nil
  if h == nil then return errors.raise(errors.unsendable('value', 'is a task that has ended')) end
  self.shared = true
  C.npl_outcome_share(h)
  return outcome.KIND, value.object(h)
end

--- The engine was closed: tasks of this worker that did not unwind have failed with `e`.
function task.bury(e)
  for slot, self in pairs(tasks) do
    if self then self[STATE], self[VALUE], self[FN] = FAILED, e, false end
    tasks[slot] = nil
  end
end

task.Meta = TaskMeta
task.current = record.current
--- @param seconds number for deferred functions after a cancellation
function task.set_grace(seconds) record.grace = seconds end
task.fresh = function(slot) return scheduler.fresh(slot) end
task.failed = function(...) return scheduler.failed(...) end

return task

--- Tasks: starting them, what runs in their coroutine, how they end, and waiting for that.
---
--- A task object of this worker is a small array; a task elsewhere is known by its outcome, a
--- counted C object (`neap.outcome`). A coroutine stays with its slot and runs one task after the
--- other, so starting a task usually makes none.
local args = require 'neap.args'
local codec = require 'neap.codec'
local errors = require 'neap.errors'
local native = require 'neap.ffi'
local outcome = require 'neap.outcome'
local scheduler = require 'neap.scheduler'
local value = require 'neap.value'
local C, W, V = native.C, native.W, native.V
local PARKED, YIELD, NO_SLOT = native.PARKED, native.YIELD, native.NO_SLOT
local park, coroutines, tasks = scheduler.park, scheduler.coroutines, scheduler.tasks
local select, type, unpack, setmetatable = select, type, unpack, setmetatable

-- The array: small, and no hash part to allocate.
local FN, SLOT, GENERATION, STATE, COUNT, VALUE = 1, 2, 3, 4, 5, 6
-- Whatever few tasks have (name, deferred functions, a failure ...) is in a table of its own, made
-- when the first such field is set; false tells the hot paths that there is nothing to look for.
local EXTRA = 7
local LIVE, SUCCEEDED, FAILED, CANCELED = 0, 1, 2, 3
local DAEMON, ISOLATED = 1, 2

local Task = {}
local TaskMeta = {}

local task = {}

--- The task object that runs now; nil outside any task and in one that was spawned.
local function current() return tasks[W.task] end

local function status_of(self)
  local state = self[STATE]
  if state == SUCCEEDED then return 'done' end
  if state == FAILED then return 'failed' end
  if state == CANCELED then return 'canceled' end
  if current() == self and not self.ending then return 'running' end
  return C.npl_task_waits(W, self[SLOT]) > 0 and 'waiting' or 'ready'
end

-- --- the end ---------------------------------------------------------------------------------

local function put_results(self)
  local count = self[COUNT]
  if count == 0 then return value.put_all(0) end
  if count == 1 then return value.put_all(1, self[VALUE]) end
  return value.put_all(count, unpack(self[VALUE], 1, count))
end

-- Results of a task that others know must travel; that may fail, and then the task has.
local function end_shared(self, slot)
  local ok, e = pcall(put_results, self)
  if ok then
    C.npl_end_outcome(W, slot, SUCCEEDED, true)
    return true
  end
  self[STATE] = LIVE
  scheduler.failed(slot, coroutine.running(), e)
  return false
end

-- It waits for something that it never yielded for, so what it returned cannot be right.
local function finish_stale(self, slot)
  tasks[slot], self[STATE] = self, LIVE
  return scheduler.failed(slot, coroutine.running(), errors.state(scheduler.OWN_COROUTINE))
end

local function settle(self, slot)
  self[STATE] = SUCCEEDED
  if self.shared and not end_shared(self, slot) then return end
  tasks[slot] = false
  if C.npl_finish(W, slot) ~= 0 then return finish_stale(self, slot) end
end

local function run_deferred(self)
  local list = self.deferred
  for index = #list, 1, -1 do
    local entry = list[index]
    list[index] = nil
    local ok, e = xpcall(entry[1], errors.catch, unpack(entry, 2, entry.n))
    if not ok then self.deferred_error = self.deferred_error or e end
  end
  self.deferred = nil
end

-- Deferred functions run with cancellation held off, for the grace that was configured.
local function finish_deferred(self, slot)
  local shielded = C.npl_shield(W, true)
  local scope = require 'neap.scope'
  pcall(scope.shielded, task.grace, run_deferred, self)
  C.npl_shield(W, shielded)
  local e = self.deferred_error
  if e and self[STATE] ~= FAILED then
    self.failure, self.failed_state = e, FAILED
  end
  if self.failure then return task.settle_failure(self, slot) end
  return settle(self, slot)
end

local function finish_extra(self, slot)
  if self.deferred then return finish_deferred(self, slot) end
  return settle(self, slot)
end

-- Most tasks return nothing.
local function finish_none(self, slot)
  self[COUNT], self[VALUE], self[FN] = 0, nil, false
  if self[EXTRA] then return finish_extra(self, slot) end
  self[STATE] = SUCCEEDED
  tasks[slot] = false
  if C.npl_finish(W, slot) ~= 0 then return finish_stale(self, slot) end
end

local function finish(self, slot, ...)
  local count = select('#', ...)
  if count == 0 then return finish_none(self, slot) end
  self[COUNT] = count
  if count <= 1 then self[VALUE] = (...) else self[VALUE] = { ... } end
  self[FN] = false
  if self[EXTRA] then return finish_extra(self, slot) end
  self[STATE] = SUCCEEDED
  tasks[slot] = false
  if C.npl_finish(W, slot) ~= 0 then return finish_stale(self, slot) end
end

-- --- failures --------------------------------------------------------------------------------

local function put_error(e)
  local ok = pcall(value.put, e)
  if not ok then value.put(errors.new(e.kind, { message = e.message, traceback = e.traceback })) end
end

local root = C.npl_root_context(W)

-- What nobody caught reaches the root: the host's next pump raises it, and goes on.
local function fail_root(e)
  if not native.own then return scheduler.keep_loose(e) end
  put_error(e)
  C.npl_root_fail(W)
end

local function fail_scope(scope, e)
  if scope == root then return fail_root(e) end
  if C.npl_scope_is_home(W, scope) then
    local slot = C.npl_slot(W)
    if slot ~= NO_SLOT then
      V[slot] = e
      put_error(e) -- By value, as the cause that the canceled tasks see.
      if C.npl_scope_fail_slot(W, scope, slot) then return end
      V[slot] = false
      C.npl_give_slot(W, slot)
    end
    return
  end
  put_error(e)
  C.npl_scope_fail(W, scope)
end

--- Tells joiners, then the scope, of a failure, and ends the task.
function task.settle_failure(self, slot)
  local e, state = self.failure, self.failed_state
  self[STATE], self[VALUE], self[FN] = state, e, false
  tasks[slot] = false
  put_error(e)
  C.npl_end_outcome(W, slot, state, true)
  if state == FAILED and not self.isolated then
    fail_scope(C.npl_task_scope(W, slot), e)
  end
  C.npl_end(W, slot, state)
end

-- Ending because one was asked to is no failure.
local function was_asked(e, slot)
  if e.kind ~= 'canceled' and e.kind ~= 'deadline' then return false end
  return C.npl_canceled(W) or C.npl_context_state(C.npl_task_scope(W, slot)) ~= 0
end

--- The coroutine of `slot` died of `e`. Runs what was deferred in a new one.
function scheduler.failed(slot, co, e)
  if coroutine.status(co) == 'dead' then coroutines[slot] = nil end
  local self = tasks[slot] or task.adopt(slot)
  if not errors.is(e) then e = errors.user(e, errors.traceback(co)) end
  e.traceback = e.traceback or errors.traceback(co)
  e.task = e.task or self.name or ('task %d'):format(C.npl_task_id(W, slot))
  self.failure = e
  self.failed_state = was_asked(e, slot) and CANCELED or FAILED
  if self.deferred then
    self.unwinding = true
    C.npl_again(W, slot)
  else
    task.settle_failure(self, slot)
  end
end

-- --- the coroutine ---------------------------------------------------------------------------

--- A task object for a task that was spawned: made when it begins.
function task.adopt(slot)
  local options = C.npl_task_options(W, slot)
  local self = setmetatable({ false, slot, W.generation, LIVE, 0, nil, false }, TaskMeta)
  self.shared = true
  self.isolated = math.floor(options / ISOLATED) % 2 == 1
  tasks[slot] = self
  return self
end

local function call_payload(self, slot, fn, name, ...)
  if name then self.name = name end
  return finish(self, slot, fn(...))
end

local function run_spawned(slot)
  local self = task.adopt(slot)
  if C.npl_payload(W, slot) == native.AGAIN then return finish(self, slot) end
  return call_payload(self, slot, value.take_all())
end

local function run(self, slot)
  if self[EXTRA] and self.unwinding then
    self.unwinding = nil
    return finish_deferred(self, slot)
  end
  local count = self[COUNT]
  if count == 0 then return finish(self, slot, self[FN]()) end
  if count == 1 then return finish(self, slot, self[FN](self[VALUE])) end
  return finish(self, slot, self[FN](unpack(self[VALUE], 1, count)))
end

local function body()
  while true do
    local slot = W.task
    local self = tasks[slot]
    if self then run(self, slot) else run_spawned(slot) end
    park()
  end
end

--- Makes the coroutine of `slot`.
function scheduler.fresh(slot)
  local co = coroutine.create(body)
  coroutines[slot] = co
  return co
end

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
  local self = setmetatable({ fn, slot, W.generation, LIVE, count, v, false }, TaskMeta)
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
    errors.raise(errors.argument(('worker %d: there are only %d'):format(options.worker, C.npl_workers(W))))
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
  self.joined = true
  local state = self[STATE]
  if state == SUCCEEDED then return results(self) end
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
  self.joined = true
  if self[STATE] == SUCCEEDED then return true, results(self) end
  return false, self[VALUE]
end

--- For the end of a scope: the error of an isolated task that nobody came for.
function Task:unclaimed()
  if self[STATE] == FAILED and not self.joined then return self[VALUE] end
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

function Task:status() return status_of(self) end

--- The object to select on: done when the task is.
function task.waitable(self)
  if self.shared_outcome then return self.shared_outcome.h end
  local h = self[STATE] == LIVE and outcome_of(self) or nil
  if h == nil then return nil end
  self.shared_outcome = outcome.new(h, self.name)
  return h
end

args.strict(Task, 'a task')
local fields = {
  name = true, shared = true, isolated = true, daemon = true, deferred = true, failure = true,
  failed_state = true, unwinding = true, joined = true, deferred_error = true, ending = true,
  shared_outcome = true, known_id = true,
}

function TaskMeta.__index(self, key)
  local method = rawget(Task, key)
  if method then return method end
  if type(key) == 'number' then return nil end
  if fields[key] then
    local extra = self[EXTRA]
    return extra and extra[key]
  end
  if key == 'id' then return C.npl_task_id(W, self[SLOT]) end
  return Task[key]
end

function TaskMeta.__newindex(self, key, v)
  if type(key) == 'number' then return rawset(self, key, v) end
  if not self[EXTRA] then self[EXTRA] = {} end
  self[EXTRA][key] = v
end

TaskMeta.__name = 'neap.Task'
TaskMeta.__tostring = function(self)
  return ('task %s (%s)'):format(self.name or self.id, status_of(self))
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
task.current = current
task.grace = 5
task.codec = codec
task.fresh = function(slot) return scheduler.fresh(slot) end
task.failed = function(...) return scheduler.failed(...) end

return task

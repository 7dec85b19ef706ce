--- How tasks run and end: the coroutine that runs one task after the other, deferred functions,
--- results and failures.
local errors = require 'neap.errors'
local native = require 'neap.ffi'
local record = require 'neap.task.record'
local scheduler = require 'neap.scheduler'
local value = require 'neap.value'
local C, W, V, NO_SLOT = native.C, native.W, native.V, native.NO_SLOT
local park, coroutines, tasks = scheduler.park, scheduler.coroutines, scheduler.tasks
local select, type, unpack, setmetatable = select, type, unpack, setmetatable

local FN, STATE, EXTRA = record.FN, record.STATE, record.EXTRA
local COUNT, VALUE = record.COUNT, record.VALUE
local LIVE, SUCCEEDED = record.LIVE, record.SUCCEEDED
local FAILED, CANCELED = record.FAILED, record.CANCELED
local ISOLATED = 2

local task = {}

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

-- They may defer more.
local function run_deferred(self)
  local list = self.deferred
  while #list > 0 do
    local entry = table.remove(list)
    local ok, e = xpcall(entry[1], errors.catch, unpack(entry, 2, entry.n))
    if not ok then self.deferred_error = self.deferred_error or e end
  end
  self.deferred = nil
end

-- The task's own error comes first; having been canceled is none.
local function add_deferred_error(self, e)
  local first = self.failure
  if first and self.failed_state == FAILED then
    first.also = first.also or {}
    table.insert(first.also, e)
  else
    self.failure, self.failed_state = e, FAILED
  end
end

--- Runs what the current task has deferred, with cancellation held off, for the grace that was
--- configured.
--- @return neap.Error|nil first error of it
function task.clean_up(self)
  if not self.deferred then return nil end
  local shielded = C.npl_shield(W, true)
  local scope = require 'neap.scope'
  local ok, e = pcall(scope.shielded, record.grace, run_deferred, self)
  C.npl_shield(W, shielded)
  return self.deferred_error or not ok and e or nil
end

local function finish_deferred(self, slot)
  local e = task.clean_up(self)
  if e then add_deferred_error(self, e) end
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

--- A task object for a task that was spawned: made when it begins.
local function adopt(slot)
  local options = C.npl_task_options(W, slot)
  local self = setmetatable({ false, slot, W.generation, LIVE, 0, nil, false, W.id }, record.Meta)
  self.shared = true
  self.isolated = math.floor(options / ISOLATED) % 2 == 1
  tasks[slot] = self
  return self
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
  local self = tasks[slot] or adopt(slot)
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

-- Text instead of a function: a script that a host in C has started.
local function call_payload(self, slot, fn, name, ...)
  if name then self.name = name end
  if type(fn) == 'string' then return finish(self, slot, require('neap.embed.job').run(fn, ...)) end
  return finish(self, slot, fn(...))
end

local function run_spawned(slot)
  local self = adopt(slot)
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


return task

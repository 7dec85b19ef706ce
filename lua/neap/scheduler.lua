--- How code of this state waits: `park` yields the running task, `pump` runs the scheduler from
--- code that is in no task. In a host's state the loop is here and pulls the next ready task from
--- C; in our own states it is C that resumes.
---
--- Hot paths end in `return after(park())`, exactly so: the trace ends at the yield, and the code
--- that was woken enters a trace of its own. Any other form lets side traces pile up behind it.
local errors = require 'neap.errors'
local native = require 'neap.ffi'
local C, W, own = native.C, native.W, native.own
local PUMP, IDLE, PARKED = native.PUMP, native.IDLE, native.PARKED
local CANCELED, TIMEOUT, YIELD = native.CANCELED, native.TIMEOUT, native.YIELD

local scheduler = {
  --- Coroutines and task objects of this worker, by slot. A coroutine stays with its slot and runs
  --- one task after the other.
  coroutines = {},
  tasks = {},
}
local coroutines = scheduler.coroutines
local resume = coroutine.resume

--- Gives control to the scheduler until this task's wait is over; the code says how it ended.
local park = coroutine.yield
scheduler.park = park

-- Errors of tasks that nobody waits for (outside any scope): the next pump raises the first.
local loose = nil
function scheduler.keep_loose(e)
  if loose then
    loose.also = loose.also or {}
    loose.also[#loose.also + 1] = e
  else
    loose = e
  end
end

local root = C.npl_root(W)

function scheduler.raise_loose()
  local e = loose
  loose = nil
  if not e and C.npl_scope_error(W, root) == native.MESSAGE then e = scheduler.take() end
  if e then error(e, 0) end
end

--- Set by neap.task, which knows how a task begins and fails.
scheduler.fresh, scheduler.failed = nil, nil

-- One step of the host's loop; false when there was nothing to run.
local function step(seconds)
  local slot = C.npl_next(W, seconds)
  if slot < 0 then return slot end
  local co = coroutines[slot] or scheduler.fresh(slot)
  local ok, e = resume(co, W.code)
  if not ok then scheduler.failed(slot, co, e) end
  return slot
end

-- Which LuaJIT keeps compiled: the loop is hot, what it calls is not always.
local function host_pump()
  local slot
  repeat slot = step(-1) until slot == PUMP or slot == IDLE
  local code = W.code
  scheduler.raise_loose()
  return code
end

scheduler.pump = own and own.pump or host_pump

--- Runs what is ready, for a host's frame: stops at the first yield after `budget` seconds.
--- @return number|nil seconds to the next timer; nil when nothing waits for the time
function scheduler.tick(budget)
  local stop = budget and C.npl_now(W) + budget
  repeat
    local slot = step(0)
  until slot < 0 or (stop and C.npl_now(W) >= stop)
  scheduler.raise_loose()
  local left = C.npl_next_timer(W)
  return left >= 0 and left or nil
end

--- Waits the way that `status` asks for.
function scheduler.wait(status)
  if status == PARKED or status == YIELD then return park() end
  if status == PUMP then return scheduler.pump() end
  return status
end

local OWN_COROUTINE = 'blocking call inside a coroutine of your own (or in require, a sort or '
  .. 'gsub callback); start it with neap.go, or collect first'

scheduler.OWN_COROUTINE = OWN_COROUTINE

--- Set by neap.value: the cause of a cancellation, and the value that came, as Lua values.
scheduler.cause, scheduler.take = nil, nil
--- Set by neap.scope: notes an isolated task, whose error the scope raises if nobody comes for it.
scheduler.keep_isolated = nil

local function canceled_error()
  local state, cause = scheduler.cause()
  if state == TIMEOUT then
    local e = errors.deadline()
    e.cause = cause
    return e
  end
  if errors.is(cause) then return errors.canceled(cause) end
  return errors.canceled(cause)
end

--- Raises what a wait that failed with `code` means.
--- @param what string for messages: 'send on channel jobs'
function scheduler.raise(code, what)
  if code == CANCELED then error(canceled_error(), 0) end
  if code == native.DEADLOCK then error(require('neap.watch.deadlock').describe(what), 0) end
  if code == native.NOMEM then errors.raise(errors.memory(what)) end
  if code == native.STATE then errors.raise(errors.state(OWN_COROUTINE)) end
  if code == native.LIMIT then errors.raise(errors.limit((what or 'queue') .. ' is full')) end
  if code == native.RANGE then errors.raise(errors.argument((what or 'value') .. ' is out of range')) end
  error(errors.new('state', { message = ('%s failed with code %d'):format(what or 'wait', code) }), 0)
end

return scheduler

--- How code of this state waits: `park` yields the running task, `pump` runs the scheduler from
--- code that is in no task. In a host's state the loop is here and pulls the next ready task from
--- C; in our own states it is C that resumes.
---
--- Hot paths end in `return after(park())`, exactly so: the trace ends at the yield, and the code
--- that was woken enters a trace of its own. Any other form lets side traces pile up behind it.
local args = require 'neap.args'
local errors = require 'neap.errors'
local host = require 'neap.embed.host'
local native = require 'neap.ffi'
local C, W, own = native.C, native.W, native.own
local PUMP, PARKED = native.PUMP, native.PARKED
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

local root = C.npl_root_context(W)

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
  local seconds = host.wait and 0 or -1
  host.running = true
  local slot
  repeat
    slot = step(seconds)
    if slot < PUMP then slot = host.turn(slot) end
  until slot == PUMP
  host.running = false
  local code = W.code
  scheduler.raise_loose()
  return code
end

scheduler.pump = own and own.pump or host_pump

local function refuse_turn()
  return errors.raise(errors.state(
    'neap.tick inside a task, or in what the scheduler called: it runs already'))
end

--- Runs what is ready, for a host's frame: stops at the first yield after `budget` seconds. When
--- it returns, `neap.wake_fd()` is readable as soon as there is something to do.
--- @param budget? number seconds; without it everything that is ready runs
--- @return number|nil seconds to the next timer (0: more can run now); nil when idle
function scheduler.tick(budget)
  args.timeout(budget, 'budget')
  if host.running or not C.npl_is_outside(W) then return refuse_turn() end
  local stop = budget and C.npl_now(W) + budget
  host.running = true
  local slot
  repeat
    slot = step(0)
    if slot < PUMP then slot = host.turn(slot) end
  until slot == PUMP or slot == native.IDLE or stop and C.npl_now(W) >= stop
  host.running = false
  scheduler.raise_loose()
  if C.npl_doze(W) then return 0 end
  local left = C.npl_next_timer(W)
  return left >= 0 and left or nil
end

--- Runs the loop until `is_over()` or for `seconds`: the last turns of an engine.
function scheduler.run_until(is_over, seconds)
  local stop = C.npl_now(W) + seconds
  host.running = true
  while not is_over() and C.npl_now(W) < stop do
    if step(0.002) == native.OUTPUT then pcall(host.print_output) end
  end
  host.running = false
  loose = nil
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
  if code == native.RANGE then
    errors.raise(errors.argument((what or 'value') .. ' is out of range'))
  end
  local text = ('%s failed with code %d'):format(what or 'wait', code)
  error(errors.new('state', { message = text }), 0)
end

return scheduler

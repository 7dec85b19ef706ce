--- Time and turns: sleeping, giving way, and which task this is.
local native = require 'neap.ffi'
local args = require 'neap.args'
local scheduler = require 'neap.scheduler'
local task = require 'neap.task'
local C, W = native.C, native.W
local PARKED, YIELD, TIMEOUT, PUMP = native.PARKED, native.YIELD, native.TIMEOUT, native.PUMP
local park = scheduler.park

local time = {}

local function after_sleep(k)
  if k == TIMEOUT or k == 0 then return end
  return scheduler.raise(k, 'sleep')
end

local function sleep_slow(r)
  if r == PUMP then return after_sleep(scheduler.pump()) end
  return after_sleep(r)
end

--- Waits; never shorter than asked.
--- @param seconds number 0 or less only gives way
function time.sleep(seconds)
  if type(seconds) ~= 'number' or seconds ~= seconds then args.number(seconds, 'seconds') end
  local r = C.npl_sleep(W, seconds)
  if r == PARKED or r == YIELD then return after_sleep(park()) end
  return sleep_slow(r)
end

--- Lets the other ready tasks run first.
function time.yield()
  local r = C.npl_yield(W)
  if r == YIELD then return after_sleep(park()) end
  return sleep_slow(r)
end

--- The task that runs this.
function time.self() return not C.npl_is_outside(W) and task.current() or nil end

return time

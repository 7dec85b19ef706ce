--- select: waits for the first of several operations. The C side of a case table (objects, order of
--- locking, waits) is kept with the table, so that a loop over it allocates nothing.
local ffi = require 'ffi'
local args = require 'neap.args'
local channel = require 'neap.channel'
local context = require 'neap.context'
local errors = require 'neap.errors'
local native = require 'neap.ffi'
local outcome = require 'neap.outcome'
local scheduler = require 'neap.scheduler'
local task = require 'neap.task'
local value = require 'neap.value'
local C, W, V = native.C, native.W, native.V
local PARKED, PUMP, YIELD, CLOSED = native.PARKED, native.PUMP, native.YIELD, native.CLOSED
local MESSAGE, AGAIN = native.MESSAGE, native.AGAIN
local TIMEOUT, NO_SLOT = native.TIMEOUT, native.NO_SLOT
local park, take = scheduler.park, value.take
local getmetatable, type = getmetatable, type

local never = setmetatable({}, {
  __name = 'neap.never', __tostring = function() return 'neap.never' end,
})

-- Under this key a case table keeps its C side: { h =, count =, [i] = the case seen }.
local SIDE = {}

local function bad_case(cases, index)
  local case = rawget(cases, index)
  if case == nil then
    return errors.raise(errors.argument(
      ('select: case %d is nil; fix: false for a disabled case'):format(index)))
  end
  return errors.raise(errors.argument(
    ('select: case %d is a %s; expected a channel, ch:sending(v), a context, a task or false')
      :format(index, type(case))))
end

-- What a case is, by its metatable.
local RECEIVE, SEND, CONTEXT, TASK, OUTCOME, OFF = 1, 2, 3, 4, 5, 6
local KINDS = {
  [channel.Meta] = RECEIVE, [channel.ReceiveMeta] = RECEIVE, [channel.SendCase] = SEND,
  [context.Meta] = CONTEXT, [task.Meta] = TASK, [outcome.Meta] = OUTCOME,
}

local function kind_of(cases, index)
  local case = cases[index]
  if case == false or case == never then return OFF end
  return type(case) == 'table' and KINDS[getmetatable(case)] or bad_case(cases, index)
end

-- The object to lock for a case; none for a task that has ended.
local function object_of(kind, case)
  if kind == OFF then return nil end
  if kind == SEND then return value.object(case.channel.h) end
  if kind ~= TASK then return value.object(case.h) end
  local h = task.waitable(case)
  if h == nil then return nil end
  return value.object(h)
end

local function count_of(cases)
  local count = #cases
  for key in pairs(cases) do
    if type(key) == 'number' and key > count then count = key end
  end
  for index = 1, count do
    if cases[index] == nil then bad_case(cases, index) end
  end
  return count
end

local function release(h) C.npl_select_free(h) end

local function make_side(cases)
  local count = count_of(cases)
  local h = C.npl_select_open(count)
  if h == nil then
    if count > 65536 then errors.raise(errors.argument 'select: more than 65,536 cases') end
    errors.raise(errors.memory 'a select')
  end
  return {
    h = ffi.gc(h, release), count = count, busy = false, ended = false, sends = false, kinds = {},
  }
end

-- Brings the C side up to date with the cases as they are now.
local function refresh(side, cases)
  side.ended, side.sends = false, false
  local kinds = side.kinds
  for index = 1, side.count do
    local kind, case = kind_of(cases, index), cases[index]
    local object = object_of(kind, case)
    if kind == TASK and object == nil then side.ended = index end
    if kind == SEND then side.sends = true end
    side[index], kinds[index] = case, kind
    C.npl_select_set(side.h, index - 1, object, kind == SEND)
  end
end

local function is_current(side, cases)
  local count = side.count
  if cases[count + 1] ~= nil then return false end
  for index = 1, count do
    if cases[index] ~= side[index] then return false end
  end
  return not side.ended
end

local function side_of(cases)
  local side = rawget(cases, SIDE)
  if side and not side.busy and is_current(side, cases) then return side end
  if not side or side.busy or side.count ~= #cases or cases[side.count + 1] ~= nil then
    side = make_side(cases)
    rawset(cases, SIDE, side)
  end
  refresh(side, cases)
  return side
end

-- Values of sends on shared channels are encoded before anybody can choose them.
local function stage_sends(side)
  for index = 1, side.count do
    local case = side[index]
    if side.kinds[index] == SEND then
      if case.value == nil then
        errors.raise(errors.argument(('select: case %d sends nil; fix: neap.null'):format(index)))
      end
      if C.npl_channel_is_shared(case.channel.h) then
        value.put(case.value)
        C.npl_select_stage(W, side.h, index - 1)
      end
    end
  end
end

local function fill_slots(side)
  for index = 1, side.count do
    local case = side[index]
    if side.kinds[index] == SEND then
      local slot = C.npl_select_slot(side.h, index - 1)
      if slot ~= NO_SLOT then V[slot] = case.value end
    end
  end
end

local function clear_slots(side)
  for index = 1, side.count do
    if side.kinds[index] == SEND then
      local slot = C.npl_select_left(side.h, index - 1)
      if slot ~= NO_SLOT then V[slot] = false end
    end
  end
end

-- What the caller gets for the case that was chosen, with code `k`.
local function chosen(side, k)
  local index = W.index
  local case, kind = side[index], side.kinds[index]
  if kind == SEND then
    if k == CLOSED then
      return errors.raise(errors.closed('send on closed ' .. channel.label(case.channel)))
    end
    return index, true
  end
  if k == MESSAGE then return index, take(), true end
  if k == CLOSED then return index, nil, false end
  if kind == CONTEXT then return index, case:cause(), false end
  if kind ~= RECEIVE then return index, case, true end
  local v = V[k]
  V[k] = false
  return index, v, true
end

local function woken(side, k)
  side.busy = false
  if side.sends then clear_slots(side) end
  if k == TIMEOUT then return nil end
  if k == native.CANCELED or k < -7 then return scheduler.raise(k, 'select') end
  return chosen(side, k)
end

local function now_chosen(side, k)
  local index = W.index
  if side.kinds[index] == SEND and k == 0 and W.slot ~= NO_SLOT then
    V[W.slot] = side[index].value
  end
  return chosen(side, k)
end

local function run_slow(side, r, timeout)
  while r == YIELD do
    park()
    if side.sends then stage_sends(side) end
    r = C.npl_select_run(W, side.h, true)
  end
  if r == PARKED or r == PUMP then
    if side.sends then fill_slots(side) end
    side.busy = true
    if timeout then r = C.npl_limit(W, r, timeout) end
    if r == PARKED then return woken(side, park()) end
    if r == PUMP then return woken(side, scheduler.pump()) end
    return woken(side, r)
  end
  if r == AGAIN then return nil end
  if r >= 0 or r == MESSAGE or r == CLOSED then return now_chosen(side, r) end
  return scheduler.raise(r, 'select')
end

local function after_select(side, k)
  side.busy = false
  local index = W.index
  if k >= 0 and side.kinds[index] == RECEIVE and not side.sends then
    local v = V[k]
    V[k] = false
    return index, v, true
  end
  return woken(side, k)
end

--- Waits for one ready case, chosen uniformly. A case is a channel (receive), `ch:sending(v)`, a
--- context, a task or `false` (disabled).
--- @param cases table with `timeout` (seconds, restarts with each call) or `default = true`
--- @return integer|nil index nil when timeout or default won
--- @return any value
--- @return boolean ok
local function select(cases)
  if type(cases) ~= 'table' then args.table(cases, 'cases') end
  local side = side_of(cases)
  if side.ended then return side.ended, cases[side.ended], true end
  if side.sends then stage_sends(side) end
  local default, timeout = cases.default, cases.timeout
  if timeout ~= nil then args.timeout(timeout, 'timeout') end
  local r = C.npl_select_run(W, side.h, not default)
  if r == PARKED and not timeout and not side.sends then
    side.busy = true
    return after_select(side, park())
  end
  return run_slow(side, r, timeout)
end

return { select = select, never = never }

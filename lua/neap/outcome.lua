--- Tasks of other workers: a handle on how they end. Same methods as a task of this worker.
local args = require 'neap.args'
local errors = require 'neap.errors'
local keep = require 'neap.keep'
local native = require 'neap.ffi'
local scheduler = require 'neap.scheduler'
local value = require 'neap.value'
local C, W = native.C, native.W

local KIND = 3
local LIVE, SUCCEEDED, FAILED, CANCELED = 0, 1, 2, 3

local Outcome = {}

local function ended(self)
  self.joined = true
  local state = C.npl_outcome_result(W, self.h)
  return state
end

local function raise_failure(state)
  local e = value.take()
  if state == CANCELED and not errors.is(e) then e = errors.canceled(e) end
  if e == nil then e = errors.memory 'the result of a task' end
  return error(e, 0)
end

--- As `neap.Task:join`.
function Outcome:join()
  repeat
    local code = scheduler.wait(C.npl_outcome_wait(W, self.h))
    if code < 0 then return scheduler.raise(code, 'join') end
  until C.npl_outcome_state(self.h) ~= 0
  local state = ended(self)
  if state == SUCCEEDED then return value.take_all() end
  return raise_failure(state)
end

local function wait_until(self, stop)
  while C.npl_outcome_state(self.h) == 0 do
    local status = C.npl_outcome_wait(W, self.h)
    if stop then status = C.npl_limit(W, status, stop - C.npl_now(W)) end
    local code = scheduler.wait(status)
    if C.npl_outcome_state(self.h) ~= 0 then return true end
    if code == native.TIMEOUT then return false end
    if code < 0 then scheduler.raise(code, 'wait') end
  end
  return true
end

--- As `neap.Task:wait`.
function Outcome:wait(timeout)
  args.timeout(timeout, 'timeout')
  if not wait_until(self, timeout and C.npl_now(W) + timeout) then return nil end
  local state = ended(self)
  if state == SUCCEEDED then return true, value.take_all() end
  return false, select(2, pcall(raise_failure, state))
end

--- As `neap.Task:unclaimed`.
function Outcome:unclaimed()
  if self.joined or C.npl_outcome_state(self.h) ~= FAILED then return nil end
  return select(2, pcall(raise_failure, ended(self)))
end

--- As `neap.Task:settled`.
function Outcome:settled()
  local state = C.npl_outcome_state(self.h)
  return state ~= LIVE and (state ~= FAILED or self.joined == true)
end

--- As `neap.Task:cancel`.
function Outcome:cancel(cause)
  value.put(cause)
  return C.npl_outcome_cancel(W, self.h) == native.OK
end

local STATES = { [0] = 'running', 'done', 'failed', 'canceled' }
function Outcome:status() return STATES[C.npl_outcome_state(self.h)] end

local Meta = {}
args.strict(Outcome, 'a task')
function Meta.__index(self, key)
  if key == 'id' then return C.npl_outcome_id(self.h) end
  if key == 'name' or key == 'joined' then return nil end
  return Outcome[key]
end
Meta.__name = 'neap.Task'
Meta.__tostring = function(self)
  return ('task %s (%s)'):format(self.name or self.id, self:status())
end
Meta.__travel = value.traveler(KIND)

--- @param h cdata np_outcome * with a reference
local function new(h, name)
  local self = keep.own(setmetatable({ h = h, name = name }, Meta), h)
  value.know(h, self)
  return self
end

value.define(KIND, function(pointer)
  return new(require('ffi').cast('np_outcome *', pointer))
end)

return { KIND = KIND, Meta = Meta, new = new }

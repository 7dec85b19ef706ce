--- The record of a task of this worker, shared by the modules that start, end and await tasks.
---
--- A small array without a hash part. Whatever few tasks have (name, deferred functions, a failure
--- ...) is in a table of its own at EXTRA, made when the first such field is set; false there tells
--- the hot paths that there is nothing to look for.
local args = require 'neap.args'
local scheduler = require 'neap.scheduler'
local native = require 'neap.ffi'
local C, W = native.C, native.W
local rawget, type = rawget, type

local FN, SLOT, GENERATION, STATE, COUNT, VALUE, EXTRA, ID = 1, 2, 3, 4, 5, 6, 7, 8
local LIVE, SUCCEEDED, FAILED, CANCELED = 0, 1, 2, 3

local record = {
  FN = FN, SLOT = SLOT, GENERATION = GENERATION, STATE = STATE, COUNT = COUNT, VALUE = VALUE,
  EXTRA = EXTRA, ID = ID,
  LIVE = LIVE, SUCCEEDED = SUCCEEDED, FAILED = FAILED, CANCELED = CANCELED,
  --- Seconds that deferred functions may take after a cancellation.
  grace = 5,
}

local Task, Meta = {}, { __name = 'neap.Task' }
record.Task, record.Meta = args.strict(Task, 'a task'), Meta

local fields = {
  name = true, shared = true, isolated = true, daemon = true, deferred = true, failure = true,
  failed_state = true, unwinding = true, joined = true, deferred_error = true, ending = true,
  shared_outcome = true,
}

function Meta.__index(self, key)
  local method = rawget(Task, key)
  if method then return method end
  if type(key) == 'number' then return nil end
  if fields[key] then
    local extra = self[EXTRA]
    return extra and extra[key] or nil
  end
  if key == 'id' then return self[ID] end
  return Task[key]
end

function Meta.__newindex(self, key, v)
  if type(key) == 'number' then return rawset(self, key, v) end
  if not self[EXTRA] then self[EXTRA] = {} end
  self[EXTRA][key] = v
end

--- The task object that runs now; nil outside any task.
function record.current() return scheduler.tasks[W.task] end

--- `ready`, `running`, `waiting`, `done`, `failed` or `canceled`.
function Task:status()
  local state = self[STATE]
  if state == SUCCEEDED then return 'done' end
  if state == FAILED then return 'failed' end
  if state == CANCELED then return 'canceled' end
  if not C.npl_is_outside(W) and record.current() == self then return 'running' end
  return C.npl_task_waits(W, self[SLOT]) > 0 and 'waiting' or 'ready'
end

function Meta.__tostring(self)
  return ('task %s (%s)'):format(self.name or self.id, self:status())
end

return record

--- A graph that runs: wait for it, cancel it, look at its figures; and iterating over one.
local args = require 'neap.args'
local channel = require 'neap.channel'
local errors = require 'neap.errors'
local native = require 'neap.ffi'
local record = require 'neap.task.record'
local run = require 'neap.flow.run'
local task = require 'neap.task'
local C, W = native.C, native.W

local Job = {}
local Meta = { __index = Job, __name = 'neap.Job' }

local job = {}

local function main(inner, options) return run.execute(inner, options) end

--- @param inner table a run that was opened
function job.new(inner, options, how)
  how = how or {}
  how.name, how.isolated = inner.name, true
  local started = task.go(how, main, inner, options)
  return setmetatable({ task = started, inner = inner, name = inner.name }, Meta)
end

--- Waits for the result. Raises what went wrong, and `canceled` after `cancel`.
--- @param timeout? number seconds
--- @return any value nil when the time has passed first
--- @return boolean ok
function Job:wait(timeout)
  args.timeout(timeout, 'timeout')
  if not timeout then return self.task:join(), true end
  local ok, result = self.task:wait(timeout)
  if ok then return result, true end
  if ok == nil then return nil, false end
  if not errors.is(result) then result = errors.canceled(result) end
  return error(result, 0)
end

--- Asks it to end; returns at once.
function Job:cancel(cause) return self.task:cancel(cause) end

--- `running`, `done`, `failed` or `canceled`.
function Job:status()
  local status = self.task:status()
  if status == 'waiting' or status == 'ready' then return 'running' end
  return status
end

--- items, files, bytes, segments (items_in, items_out, chunks, waiting) and errors, the files that
--- could not be read: {path, reason}.
function Job:stats() return run.figures(self.inner) end

Meta.__tostring = function(self) return ('job %s (%s)'):format(self.name, self:status()) end
args.strict(Job, 'a job')
job.Meta = Meta

-- --- iterating ---------------------------------------------------------------------------------

local AHEAD = 256
local SLOT, GENERATION = record.SLOT, record.GENERATION

local Iterator = {}
local IteratorMeta = { __index = Iterator, __name = 'neap.Iterator' }

--- Ends it early.
function Iterator:close()
  if self.ended then return end
  self.ended = true
  self.job:cancel()
end

local function next_item(self)
  if self.ended then return nil end
  local v = self.items:recv()
  if v ~= nil then return v end
  self.ended = true
  self.job:wait() -- Raises what ended it.
  return nil
end
IteratorMeta.__call = next_item

-- Lua 5.1 tells nobody that a loop was left: the collector does, when the iterator goes.
local function watch(self)
  local proxy = newproxy(true)
  local started = self.job.task
  local slot, generation = started[SLOT], started[GENERATION]
  getmetatable(proxy).__gc = function()
    if not native.life.ended then C.npl_abandon(W, slot, generation) end
  end
  self.proxy = proxy
end

function job.iterate(stage, options)
  local items = channel.new(AHEAD)
  local inner = stage:each(function(v) items:send(v) end)
  local started
  local function main_then_close(opened, checked)
    local ok, e = pcall(run.execute, opened, checked)
    items:close()
    if not ok then return error(e, 0) end
  end
  local opened, checked = run.opened(inner, options, 'iter')
  started = task.go({ name = opened.name, isolated = true, daemon = true }, main_then_close,
    opened, checked)
  local self = setmetatable({
    items = items, ended = false,
    job = setmetatable({ task = started, inner = opened, name = opened.name }, Meta),
  }, IteratorMeta)
  watch(self)
  return self
end

return job

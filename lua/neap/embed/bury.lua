--- What is left of an engine that was closed: handles of it raise `closed` from then on, whatever
--- is done with them, so that nothing of the old engine is mistaken for the fresh one's.
local errors = require 'neap.errors'
local keep = require 'neap.keep'
local native = require 'neap.ffi'
local scheduler = require 'neap.scheduler'
local task = require 'neap.task'
local value = require 'neap.value'
local C, W, V = native.C, native.W, native.V

local bury = {}

local function closed()
  return errors.raise(errors.closed 'the engine of this handle was closed')
end

local Dead = { __index = closed, __newindex = closed, __call = closed, __travel = closed,
  __name = 'neap.Closed', __tostring = function() return 'a handle of a closed engine' end }

local function clear(list)
  for key in pairs(list) do list[key] = nil end
end

--- Modules that keep handles of their own forget them here.
local listeners = {}
function bury.on_close(fn) listeners[#listeners + 1] = fn end

-- The root context is the fresh engine's too.
local function bury_handles()
  local root = C.npl_root_context(W)
  local channel = package.loaded['neap.channel']
  keep.each(function(object)
    if value.object(object.h) == value.object(root) then return end
    -- Views of one direction have the handle too: it closes under them.
    if channel and getmetatable(object) == channel.Meta then C.npl_channel_kill(object.h) end
    setmetatable(object, Dead)
  end)
  value.forget_known()
end

function bury.all()
  for index = 1, #listeners do listeners[index]() end
  task.bury(errors.closed 'the engine of this task was closed')
  clear(scheduler.coroutines)
  clear(V)
  bury_handles()
end

return bury

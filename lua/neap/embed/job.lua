--- A script that a host in C has started (neap.h): its text becomes a function here, in the worker,
--- and its end becomes values that C can read: true and the results, or false and the error.
local codec = require 'neap.codec'
local errors = require 'neap.errors'

local job = {}

local RICH = string.char(0x19) -- Functions, handles, shared tables; see lua/neap/codec.lua.

local function place_of(e)
  local where = e.where or e.message:match '^(.-:%d+):'
  if not where and e.traceback then where = e.traceback:match '^(.-:%d+):' end
  local file, line = (where or ''):match '^(.-):(%d+)$'
  return file or '', tonumber(line) or 0
end

local function failure(e)
  e = errors.user(e)
  local file, line = place_of(e)
  return false, e.kind, e.message, e.traceback or '', file, line
end

-- Results are for C: what only Lua could read is the script's error, told here, where it is known.
local function check(count, ...)
  local ok, message = pcall(codec.encode_all, count, ...)
  if not ok then return failure(message) end
  local is_rich = message:tostring():sub(1, 1) == RICH
  if not is_rich then return true, ... end
  return failure(errors.unsendable('a result',
    'is (or holds) a function, a handle, or a table used twice; a host in C reads plain values'))
end

local function finish(ok, ...)
  if not ok then return failure((...)) end
  return check(select('#', ...), ...)
end

--- @param source string
--- @param name string of the chunk
function job.run(source, name, ...)
  local chunk, message = loadstring(source, name)
  if not chunk then return failure(errors.new('error', { message = message })) end
  local scope = require 'neap.scope'
  return finish(xpcall(scope.scope, errors.catch, chunk, ...))
end

return job

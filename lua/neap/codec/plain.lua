--- What LuaJIT's string.buffer can carry by itself, without loss: the fast path of every message.
local buffer = require 'string.buffer'
local ffi = require 'ffi' -- Decoding an int64 fails in a state that never loaded it.

local plain = {}

local getmetatable, istype, next, type = getmetatable, ffi.istype, next, type
local int64, uint64 = ffi.typeof 'int64_t', ffi.typeof 'uint64_t'

-- Tables within tables, the outermost included: the limit of string.buffer.
plain.MAX_DEPTH = 100

-- A light userdata is one value in every state: equal, a good table key, encoded natively (tag 4).
-- NULL stays free: cjson and nginx use it for their own null.
local null = buffer.decode '\4PAEN'
local NULL = buffer.decode '\3'
plain.null = null

-- All light userdata of a state share one metatable. A host's own stays; ours changes what `null`
-- prints and nothing else.
if debug.getmetatable(null) == nil then
  debug.setmetatable(null, {
    __metatable = false,
    __tostring = function(value)
      return value == null and 'neap.null' or ('userdata: %p'):format(value)
    end,
  })
end

--- Is this userdata or cdata a constant that travels as it is?
function plain.is_constant(value, kind)
  if kind == 'cdata' then return istype(int64, value) or istype(uint64, value) end
  return kind == 'userdata' and (value == null or value == NULL)
end
local is_constant = plain.is_constant

--- Is this a key that means the same in another state?
function plain.is_key(key)
  local kind = type(key)
  return kind == 'string' or kind == 'number' or kind == 'boolean' or key == null
end
local is_key = plain.is_key

--- True when string.buffer alone carries the table; it would drop metatables without a word.
--- @param depth integer 1 for the outermost table
function plain.is_plain(t, depth)
  if getmetatable(t) ~= nil or depth > 100 then return false end
  for key, value in next, t do
    local kind = type(value)
    if kind ~= 'string' and kind ~= 'number' and kind ~= 'boolean' then
      if kind == 'table' then
        if not plain.is_plain(value, depth + 1) then return false end
      elseif not is_constant(value, kind) then
        return false
      end
    end
    kind = type(key)
    if kind ~= 'string' and kind ~= 'number' and not is_key(key) then return false end
  end
  return true
end

return plain

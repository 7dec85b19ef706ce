--- Who owns the C objects that Lua objects stand for. A finalizer for each would cost more than
--- the object (a table entry, and an interpreted call at its end). Instead the Lua objects stand in
--- a weak array; after each cycle of the collector, what has gone from there is given up, a few at
--- a time: with each new object, with each tick, and a share in the collector's own time.
local ffi = require 'ffi'
local errors = require 'neap.errors'
local native = require 'neap.ffi'
local C, W, NO_SLOT = native.C, native.W, native.NO_SLOT

local SHARE = 64

local objects = setmetatable({}, { __mode = 'v' })
local object_type = ffi.typeof 'np_object *'
-- Numbers from `cursor` to `last` are still to be looked at since the last cycle.
local cursor, last = 0, -1

local keep = {}

--- Looks at some of what is due.
function keep.sweep(share)
  local stop = cursor + share
  if stop > last + 1 then stop = last + 1 end
  while cursor < stop do
    if objects[cursor] == nil then C.npl_unkeep(W, cursor) end
    cursor = cursor + 1
  end
end
local sweep = keep.sweep

--- Makes `object` the owner of the reference in `h`.
--- @param h cdata a handle of any kind
--- @return any object
function keep.own(object, h)
  if cursor <= last then sweep(SHARE) end
  local id = C.npl_keep(W, ffi.cast(object_type, h))
  if id == NO_SLOT then return errors.raise(errors.memory 'a handle') end
  objects[id] = object
  return object
end

--- Calls `fn(object)` for each object that owns a handle.
function keep.each(fn)
  for id = 0, C.npl_kept_high(W) - 1 do
    if objects[id] ~= nil then fn(objects[id]) end
  end
end

-- A cycle of the collector is over.
function keep.on_cycle()
  if native.life.ended then return end
  if cursor > last then cursor, last = 0, C.npl_kept_high(W) - 1 end
  sweep(4 * SHARE)
end

-- Lives for one cycle of the collector and leaves a successor, while anybody has this module: it
-- must not be what holds it, or an engine whose modules were dropped would never end.
local function watch_collector(weak)
  local sentinel = newproxy(true)
  getmetatable(sentinel).__gc = function()
    if not weak.keep then return end
    weak.keep.on_cycle()
    watch_collector(weak)
  end
end
watch_collector(setmetatable({ keep = keep }, { __mode = 'v' }))

return keep

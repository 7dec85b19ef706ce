--- Atomics: a 64-bit integer that all workers share. Numbers are exact to 2^53; `load64` gives the
--- int64. Every operation is sequentially consistent and wraps, as in Go.
local ffi = require 'ffi'
local args = require 'neap.args'
local errors = require 'neap.errors'
local keep = require 'neap.keep'
local native = require 'neap.ffi'
local value = require 'neap.value'
local C = native.C
local type, tonumber = type, tonumber

local KIND = 5
local Atomic = {}
local Meta = { __index = Atomic, __name = 'neap.Atomic', __travel = value.traveler(KIND) }

local int64 = ffi.typeof 'int64_t'

-- An integer that fits: a Lua number without fraction, or an int64.
local function whole(v, name)
  if type(v) == 'number' then
    if v % 1 == 0 and v >= -0x1p63 and v < 0x1p63 then return v end
  elseif type(v) == 'cdata' and ffi.istype(int64, v) then
    return v
  end
  return args.integer(v, name, -2 ^ 53, 2 ^ 53)
end

function Atomic:load() return C.npl_cell_load(self.h) end
function Atomic:load64() return C.npl_cell_load64(self.h) end
function Atomic:store(v) C.npl_cell_store(self.h, whole(v, 'v')) end
--- @return number the new value
function Atomic:add(v) return C.npl_cell_add(self.h, whole(v == nil and 1 or v, 'v')) end
--- @return number the new value
function Atomic:sub(v) return C.npl_cell_add(self.h, -whole(v == nil and 1 or v, 'v')) end
--- @return number the old value
function Atomic:swap(v) return C.npl_cell_swap(self.h, whole(v, 'v')) end
--- @return boolean swapped
function Atomic:compare_and_swap(old, new)
  return C.npl_cell_cas(self.h, whole(old, 'old'), whole(new, 'new'))
end
--- @return number the new value
function Atomic:min(v) return C.npl_cell_min(self.h, whole(v, 'v')) end
--- @return number the new value
function Atomic:max(v) return C.npl_cell_max(self.h, whole(v, 'v')) end
--- @return number the old value
function Atomic:band(v) return C.npl_cell_band(self.h, whole(v, 'v')) end
--- @return number the old value
function Atomic:bor(v) return C.npl_cell_bor(self.h, whole(v, 'v')) end

Meta.__tostring = function(self) return ('atomic %d'):format(tonumber(self:load64())) end
args.strict(Atomic, 'an atomic')

local function wrap(h)
  local self = keep.own(setmetatable({ h = h }, Meta), h)
  value.know(h, self)
  return self
end

value.define(KIND, function(pointer) return wrap(ffi.cast('np_cell *', pointer)) end)

--- @param v? integer 0 by default
--- @return neap.Atomic
local function new(v)
  local h = C.npl_cell_open(whole(v == nil and 0 or v, 'v'))
  if h == nil then return errors.raise(errors.memory 'an atomic') end
  return wrap(h)
end

return { new = new }

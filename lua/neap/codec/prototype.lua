--- Code of functions that travel: bytecode out, fresh closures of one prototype in.
---
--- `load` makes a new prototype each time, and traces belong to a prototype: a small loop that
--- arrived 3,000 times was compiled 3,000 times (374 us an arrival and call; 4 us as below). So the
--- first arrival wraps the bytecode in a *factory*, `local u1, u2 return function() ... end`, and
--- each arrival calls that.
--- Bytecode comes from this process only: LuaJIT does not verify it.
local errors = require 'neap.errors'
local util = require 'jit.util'

local prototype = {}

local band, bor = bit.band, bit.bor
local char, concat = string.char, table.concat
local MAX_CACHED = 1024 -- Factories; all are dropped when there are more.
local STRIPPED = 2 -- A flag of a dump.
local UPVALUE_LOCAL, UPVALUE_CONSTANT = 0x8000, 0x4000 -- Flags of an upvalue's description.

prototype.dump = string.dump

-- Opcode numbers differ between LuaJIT builds: ask this one.
local sample = loadstring 'x = y'
local OP_GET = band(util.funcbc(sample, 1), 0xff)
local OP_SET = band(util.funcbc(sample, 2), 0xff)

local function scan(code, reads, writes)
  local pc = 1
  while true do
    local instruction = util.funcbc(code, pc)
    if instruction == nil then break end
    local op = band(instruction, 0xff)
    if op == OP_GET or op == OP_SET then
      local name = util.funck(code, -bit.rshift(instruction, 16) - 1)
      local set = op == OP_GET and reads or writes
      set[name] = true
    end
    pc = pc + 1
  end
  for index = -1, -65536, -1 do
    local constant = util.funck(code, index)
    if constant == nil then break end
    if type(constant) == 'proto' then scan(constant, reads, writes) end
  end
end

--- The names of globals that a function and the functions in it read and set.
--- @return table reads, table writes name -> true
function prototype.globals(fn)
  local reads, writes = {}, {}
  scan(fn, reads, writes)
  return reads, writes
end

local place = 'this state'

--- What messages call this state: 'worker 2'.
function prototype.set_place(text) place = text end
function prototype.get_place() return place end

-- Where functions run that name a global that is not defined here.
local strict = setmetatable({}, {
  __index = function(_, name)
    local value = _G[name]
    if value ~= nil then return value end
    local what = ('is undefined in %s (globals do not travel); fix: `local %s = %s` before the '
      .. 'function, or `require` in it'):format(place, name, name)
    local e = errors.unsendable(('`%s`'):format(name), what)
    e.path = name
    return errors.raise(e)
  end,
  __newindex = _G,
})

--- Why a function cannot leave its environment, or nil when it runs alike in `_G`.
--- Only the names that it uses count: test frameworks and sandboxes give environments that fall
--- through to `_G`.
function prototype.environment_fault(fn)
  local environment = getfenv(fn)
  if environment == _G or environment == strict then return nil end
  local reads, writes = prototype.globals(fn)
  local written = next(writes)
  if written then
    return ('sets `%s` in an environment of its own (setfenv)'):format(written)
  end
  for name in next, reads do
    if environment[name] ~= _G[name] then
      return ('reads `%s` from an environment of its own (setfenv)'):format(name), name
    end
  end
  return nil
end

-- A number in the 7-bit groups of a dump, and the position behind it.
local function read_number(text, at)
  local value, scale = 0, 1
  while true do
    local byte = text:byte(at)
    at = at + 1
    value = value + band(byte, 127) * scale
    if byte < 128 then return value, at end
    scale = scale * 128
  end
end

local function write_number(value)
  local bytes = {}
  while value >= 128 do
    bytes[#bytes + 1] = char(band(value, 127) + 128)
    value = math.floor(value / 128)
  end
  bytes[#bytes + 1] = char(value)
  return concat(bytes)
end

-- The parts of a dump: its head (with the chunk's name) and the prototypes, the outermost last.
local function parse(dump)
  if dump:sub(1, 4) ~= '\27LJ\2' then return nil end
  local flags, at = read_number(dump, 5)
  if band(flags, STRIPPED) ~= 0 then return nil end
  local length
  length, at = read_number(dump, at)
  at = at + length
  local parts = { head = dump:sub(1, at - 1) }
  while true do
    length, at = read_number(dump, at)
    if length == 0 then return parts end
    parts[#parts + 1] = dump:sub(at, at + length - 1)
    at = at + length
  end
end

-- Where the upvalue descriptions of a prototype begin: 2 bytes each behind the instructions.
local function upvalues_at(proto)
  local _, instructions, debug_size
  local at = 5 -- Flags, parameters, frame size and number of upvalues are a byte each.
  _, at = read_number(proto, at)
  _, at = read_number(proto, at)
  instructions, at = read_number(proto, at)
  debug_size, at = read_number(proto, at)
  if debug_size > 0 then
    _, at = read_number(proto, at)
    _, at = read_number(proto, at)
  end
  return at + 4 * instructions
end

local is_little = require('ffi').abi 'le'

local function read_u16(text, at)
  local low, high = text:byte(at, at + 1)
  if not is_little then low, high = high, low end
  return low + 256 * high
end

local function write_u16(value)
  local low, high = band(value, 255), bit.rshift(value, 8)
  return is_little and char(low, high) or char(high, low)
end

-- A factory's prototype for `count` upvalues, compiled from text so that the opcodes are right,
-- and the stack slots that its child takes them from.
local templates = {}

local function template(count)
  if templates[count] then return templates[count] end
  local locals = {}
  for index = 1, count do locals[index] = 'u' .. index end
  local list = concat(locals, ', ')
  local text = count == 0 and 'return function() end'
    or ('local %s return function() return %s end'):format(list, list)
  local parts = parse(string.dump(assert(loadstring(text, '=neap/factory'))))
  if parts == nil or #parts ~= 2 then return nil end
  local slots, at = {}, upvalues_at(parts[1])
  for index = 1, count do slots[index] = band(read_u16(parts[1], at + 2 * index - 2), 0xff) end
  templates[count] = { proto = parts[2], slots = slots }
  return templates[count]
end

-- The same prototype as the child of a factory: its upvalues are the factory's locals. The mark for
-- "never assigned" must stay as it was, since the compiler builds on it.
local function adopt(proto, slots)
  local at = upvalues_at(proto)
  local described = {}
  for index = 1, #slots do
    local old = read_u16(proto, at + 2 * index - 2)
    local constant = old >= UPVALUE_LOCAL and band(old, UPVALUE_CONSTANT) or 0
    described[index] = write_u16(bor(UPVALUE_LOCAL, constant, slots[index]))
  end
  return proto:sub(1, at - 1) .. concat(described) .. proto:sub(at + 2 * #slots)
end

-- Builds the factory, or nil for a dump of a form that we do not know.
local function wrap(code)
  local parts = parse(code)
  if parts == nil then return nil end
  local last = #parts
  local outer = template(parts[last]:byte(4))
  if outer == nil then return nil end
  parts[last] = adopt(parts[last], outer.slots)
  parts[last + 1] = outer.proto
  local out = { parts.head }
  for _, proto in ipairs(parts) do out[#out + 1] = write_number(#proto) .. proto end
  out[#out + 1] = '\0'
  return loadstring(concat(out))
end

local factories, cached = {}, 0

local function arrive_first(code)
  local factory = wrap(code)
  if factory == nil then
    assert(loadstring(code)) -- Says what is wrong with it.
    factory = function() return setfenv(loadstring(code), getfenv(1)) end
  end
  setfenv(factory, _G)
  local reads, writes = prototype.globals(factory())
  for name in next, reads do
    if not writes[name] and _G[name] == nil then setfenv(factory, strict) end
  end
  if cached == MAX_CACHED then factories, cached = {}, 0 end
  factories[code], cached = factory, cached + 1
  return factory
end

--- A fresh closure; its upvalues are nil.
--- @param code string from `prototype.dump`
function prototype.closure(code)
  local factory = factories[code] or arrive_first(code)
  local fn = factory() -- Not a tail call: the factory may look at its own environment.
  return fn
end

return prototype

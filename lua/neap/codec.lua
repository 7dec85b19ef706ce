--- Values that travel between lua_States: by value, functions and their upvalues included.
---
--- A message is one of: the encoding of string.buffer, for a value that it carries alone; LIST, a
--- count and that many such values; RICH, a head and lists of values with their fixes
--- (lua/neap/codec/walk.lua takes values apart, lua/neap/codec/arrive.lua puts them together).
--- Both bytes are tags that string.buffer does not use. References to C objects ride beside the
--- bytes, in order of appearance.
local buffer = require 'string.buffer'
local ffi = require 'ffi'
local arrive = require 'neap.codec.arrive'
local classes = require 'neap.codec.classes'
local draft = require 'neap.codec.draft'
local names = require 'neap.codec.names'
local plain = require 'neap.codec.plain'
local prototype = require 'neap.codec.prototype'
local walk = require 'neap.codec.walk'

local codec = {
  null = plain.null,
  register = classes.register,
  register_kind = classes.register_kind,
  set_place = prototype.set_place, -- 'worker 2', for messages about arrivals.
}

local LIST, RICH = 0x18, 0x19
local LIST_BYTE, RICH_BYTE = string.char(LIST), string.char(RICH)
local KEEP = 2 ^ 20 -- Bytes of buffer that are kept from one message to the next.

local is_plain, is_constant = plain.is_plain, plain.is_constant
local select, type, unpack = select, type, unpack
local bytes = ffi.typeof 'const uint8_t *'

local out, incoming = buffer.new(), buffer.new()

local function fresh()
  if #out > KEEP then out:free() end
  return out:reset()
end

local function travels_plain(value)
  local kind = type(value)
  if kind == 'table' then return is_plain(value, 1) end
  return kind == 'number' or kind == 'string' or kind == 'boolean' or kind == 'nil'
    or is_constant(value, kind)
end

local function write_list(list)
  for index = 1, list.count do
    out:encode(list.values[index]):encode(list.fixes[index])
  end
end

local function finish(s)
  local head = s.head
  head[1], head[2], head[3], head[4] = s.roots.count, s.cells.count, s.nodes.count, s.objects.count
  head[5], head[6] = s.functions, s.classes
  fresh():put(RICH_BYTE):encode(head)
  write_list(s.cells)
  write_list(s.nodes)
  write_list(s.objects)
  write_list(s.roots)
  local handles = s.handles[1] and s.handles or nil
  draft.give(s)
  return out, handles
end

local function walk_roots(s, count, values)
  names.refresh()
  for index = 1, count do
    walk.root(s, values[index], count == 1 and 'value' or 'argument ' .. index)
  end
end

local function encode_rich(count, values)
  local s = draft.take()
  local ok, e = pcall(walk_roots, s, count, values)
  if ok then return finish(s) end
  classes.abandon(s.handles, 1)
  return error(e, 0)
end

--- Encodes one value.
--- @return string.buffer buffer valid until the next encode of this state
--- @return table|nil handles { { kind =, pointer = }, ... }: references that the message owns now
function codec.encode(value)
  if travels_plain(value) then return fresh():encode(value), nil end
  return encode_rich(1, { value })
end

--- Encodes a list of values, nils included.
--- @param count integer how many values follow
function codec.encode_all(count, ...)
  for index = 1, count do
    if not travels_plain((select(index, ...))) then return encode_rich(count, { ... }) end
  end
  fresh():put(LIST_BYTE):encode(count)
  for index = 1, count do out:encode((select(index, ...))) end
  return out, nil
end

local EMPTY = { count = 0, values = {}, fixes = {} }

local function read_list(count)
  if count == 0 then return EMPTY end
  local list = { count = count, values = {}, fixes = {} }
  for index = 1, count do
    list.values[index], list.fixes[index] = incoming:decode(), incoming:decode()
  end
  return list
end

-- Reads the whole message before anything runs that might receive another one.
local function read_rich()
  local head = incoming:decode()
  local cells = read_list(head[2])
  local nodes = read_list(head[3])
  local objects = read_list(head[4])
  local roots = read_list(head[1])
  return {
    cells = cells, nodes = nodes, objects = objects, roots = roots,
    functions = head[5], classes = head[6],
  }
end

-- The values of a message that is not one plain value, and their number.
local function read_many(tag, handles)
  incoming:skip(1)
  if tag == RICH then
    local message = read_rich()
    return arrive.all(message, handles), message.roots.count
  end
  local count = incoming:decode()
  local values = {}
  for index = 1, count do values[index] = incoming:decode() end
  return values, count
end

--- Decodes what `encode` made; takes over the references in `handles`.
--- @param pointer cdata the bytes; they may go after the call
--- @param length integer
--- @param handles? table as from `encode`
function codec.decode(pointer, length, handles)
  incoming:set(pointer, length)
  local tag = ffi.cast(bytes, pointer)[0]
  if tag ~= LIST and tag ~= RICH then return incoming:decode() end
  return read_many(tag, handles)[1]
end

--- Decodes what `encode_all` or `encode` made.
--- @return any ... the values
function codec.decode_all(pointer, length, handles)
  incoming:set(pointer, length)
  local tag = ffi.cast(bytes, pointer)[0]
  if tag ~= LIST and tag ~= RICH then return incoming:decode() end
  local values, count = read_many(tag, handles)
  return unpack(values, 1, count)
end

--- For tests and files: the same with a Lua string instead of a buffer.
function codec.encode_string(value)
  local message, handles = codec.encode(value)
  return message:tostring(), handles
end

function codec.decode_string(text, handles)
  return codec.decode(ffi.cast(bytes, text), #text, handles)
end

return codec

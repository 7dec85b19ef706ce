--- Values on their way between workers: `put` hands one to C, `take` makes Lua's of what came.
--- Scalars and strings need no codec; everything else goes through `neap.codec`.
local ffi = require 'ffi'
local codec = require 'neap.codec'
local errors = require 'neap.errors'
local native = require 'neap.ffi'
local scheduler = require 'neap.scheduler'
local C, W, OK = native.C, native.W, native.OK
local null = codec.null
local type, getmetatable = type, getmetatable

local NOTHING, FALSE, TRUE, NULL, NUMBER, SHORT, STRING, ENCODED, HANDLE = 0, 2, 3, 4, 5, 6, 7, 8, 9

local value = {}

--- What makes the Lua object of a handle, by the kind's number; see `define`.
local arrivals = {}
-- The module that defines a kind; loaded when the first handle of it arrives.
local HOMES = {
  'neap.channel', 'neap.context', 'neap.outcome', 'neap.sync.timer', 'neap.sync.atomic',
  'neap.sync.mutex',
}
-- One object a handle and state: address -> object. Weak, the objects own their references.
local known = setmetatable({}, { __mode = 'v' })

local function address(pointer)
  return tonumber(ffi.cast('intptr_t', ffi.cast('void *', pointer)))
end

local object_type = ffi.typeof 'np_object *'

--- The object of a handle that came with a reference, which the object owns from then on.
local function arrive(kind, pointer)
  local key = address(pointer)
  local object = known[key]
  if object then
    C.npl_object_release(pointer)
    return object
  end
  if not arrivals[kind] then require(HOMES[kind]) end
  object = arrivals[kind](pointer)
  known[key] = object
  return object
end

--- Remembers the object that stands for `pointer` here.
function value.know(pointer, object) known[address(pointer)] = object end

--- The object that stands for `pointer` here, or nil.
function value.known(pointer) return known[address(pointer)] end

--- Calls `fn(address, object)` for each object of this state that stands for a handle.
function value.each_known(fn)
  for key, object in pairs(known) do fn(key, object) end
end

--- Forgets them all.
function value.forget_known()
  for key in pairs(known) do known[key] = nil end
end

--- @param kind integer np_object_kind.number
--- @param make function(pointer) -> object; it owns the reference
function value.define(kind, make) arrivals[kind] = make end

for kind = 1, #HOMES do
  codec.register_kind(kind, {
    arrive = function(pointer) return arrive(kind, pointer) end,
    abandon = function(pointer) C.npl_object_release(ffi.cast(object_type, pointer)) end,
  })
end

local function no_memory() return errors.raise(errors.memory 'a message') end

local function put_bytes(buffer, handles)
  for index = 1, handles and #handles or 0 do
    if C.npl_add_handle(W, ffi.cast(object_type, handles[index].pointer)) ~= OK then no_memory() end
  end
  local pointer, length = buffer:ref()
  if C.npl_put_encoded(W, pointer, length) ~= OK then no_memory() end
end

--- Stages a value for the next call that sends one. Raises `unsendable`.
local function put(v)
  local kind = type(v)
  if kind == 'number' then return C.npl_put_number(W, v) end
  if kind == 'string' then
    if C.npl_put_string(W, v, #v) ~= OK then no_memory() end
    return
  end
  if kind == 'boolean' then return C.npl_put_boolean(W, v) end
  if v == null then return C.npl_put_null(W) end
  if v == nil then return C.npl_put_nothing(W) end
  return put_bytes(codec.encode(v))
end
value.put = put

--- Stages a list of values, nils included.
function value.put_all(count, ...) return put_bytes(codec.encode_all(count, ...)) end

-- The handles of an encoded message, each with a reference for its object.
local function handles_of()
  local count = C.npl_received_handles(W)
  if count == 0 then return nil end
  local handles = {}
  for index = 1, count do
    local object = C.npl_received_handle(W, index - 1)
    handles[index] = { kind = C.npl_object_kind(object), pointer = object }
  end
  return handles
end

local function keeping(_, ...) return ... end

local function decoded(decode)
  -- Out of the front first: decoding may run code that receives another message.
  local bytes = ffi.string(C.npl_received_bytes(W), C.npl_received_length(W))
  local handles = handles_of()
  C.npl_received_drop(W)
  -- No tail call: the frame is what keeps `bytes` from the collector.
  return keeping(bytes, decode(ffi.cast('const char *', bytes), #bytes, handles))
end

local function take_string()
  local s = ffi.string(C.npl_received_bytes(W), C.npl_received_length(W))
  C.npl_received_drop(W)
  return s
end

--- The value in front.received, which is empty afterwards.
local function take()
  local tag = W.received.tag
  if tag == NUMBER then return W.received.as.number end
  if tag == SHORT or tag == STRING then return take_string() end
  if tag == TRUE then return true end
  if tag == FALSE then return false end
  if tag == NULL then return null end
  if tag == ENCODED then return decoded(codec.decode) end
  if tag == HANDLE then
    local object = C.npl_received_object(W)
    return arrive(C.npl_object_kind(object), object)
  end
  if tag == NOTHING then return nil end
  return error(errors.state('a value of an unknown kind arrived: ' .. tonumber(tag)), 0)
end
value.take = take

--- The list of values in front.received (put there by `put_all`).
function value.take_all()
  if W.received.tag ~= ENCODED then return take() end
  return decoded(codec.decode_all)
end

--- A metatable's `__travel` for objects with a reference counted handle in `h`.
--- @param kind integer
--- @param promote? function(object) makes it fit for other workers; may raise
function value.traveler(kind, promote)
  return function(object)
    if promote then promote(object) end
    local pointer = ffi.cast(object_type, object.h)
    C.npl_object_retain(pointer)
    return kind, pointer
  end
end

local function release(pointer) C.npl_object_release(ffi.cast(object_type, pointer)) end

--- Owns the reference in `pointer` until the collector comes.
function value.own(pointer) return ffi.gc(pointer, release) end

--- Gives the reference in an owned `pointer` back now.
function value.disown(pointer)
  ffi.gc(pointer, nil)
  release(pointer)
end

--- The `np_object *` of a handle of any kind.
function value.object(pointer) return ffi.cast(object_type, pointer) end

scheduler.take = take
scheduler.cause = function()
  local state = C.npl_cause(W)
  return state, take()
end

value.is_handle = function(v)
  local mt = type(v) == 'table' and getmetatable(v)
  return mt and mt.__travel ~= nil
end

return value

--- Channels: bounded FIFO between tasks, Go's semantics. While one worker uses a channel its items
--- are slots of that worker's value table and stay by reference; sending the channel to another
--- worker promotes it, and from then on every value sent through it travels.
local ffi = require 'ffi'
local args = require 'neap.args'
local errors = require 'neap.errors'
local keep = require 'neap.keep'
local native = require 'neap.ffi'
local promote = require 'neap.channel.promote'
local scheduler = require 'neap.scheduler'
local value = require 'neap.value'
local C, W, V = native.C, native.W, native.V
local PARKED, PUMP, YIELD, CLOSED = native.PARKED, native.PUMP, native.YIELD, native.CLOSED
local MESSAGE, TRAVELS, TIMEOUT = native.MESSAGE, native.TRAVELS, native.TIMEOUT
local AGAIN, DONE = native.AGAIN, native.DONE
local park, take = scheduler.park, value.take
local type, setmetatable = type, setmetatable

local KIND, CAPACITY_MAX = 1, 2 ^ 30
local OVERFLOW = { block = 0, drop_new = 1, drop_old = 2, error = 3 }

local Channel = {}
local Meta = { __index = Channel, __name = 'neap.Channel' }
local SendCase = { __name = 'neap.SendCase' }

local function label(self) return self.name and 'channel ' .. self.name or 'channel' end

local function raise(self, code, verb)
  if code == CLOSED then
    return errors.raise(errors.closed(('%s on closed %s'):format(verb, label(self))))
  end
  return scheduler.raise(code, ('%s on %s'):format(verb, label(self)))
end

-- --- receive ---------------------------------------------------------------------------------

local recv_again

local function after_recv(self, k)
  if k >= 0 then
    local v = V[k]
    V[k] = false
    return v, true
  end
  return recv_again(self, k)
end

-- Whatever is neither a value nor a park on the first try.
local function recv_slow(self, r)
  if r == PARKED then return after_recv(self, park()) end
  return recv_again(self, r)
end

local function recv_retry(self) return recv_slow(self, C.npl_channel_recv(W, self.h)) end

function recv_again(self, k)
  if k == MESSAGE then return take(), true end
  if k == CLOSED then return nil, false end
  if k == YIELD then return recv_retry(self, park()) end
  if k == PUMP then return after_recv(self, scheduler.pump()) end
  if k >= 0 then return after_recv(self, k) end
  if k == TIMEOUT then return nil, nil end
  return raise(self, k, 'recv')
end

local function recv_within(self, timeout)
  args.timeout(timeout, 'timeout')
  local r = C.npl_channel_recv(W, self.h)
  while r == YIELD do
    park()
    r = C.npl_channel_recv(W, self.h)
  end
  return recv_slow(self, C.npl_limit(W, r, timeout))
end

--- Receives, waiting for a value.
--- @param timeout? number seconds
--- @return any value nil when there is none
--- @return boolean|nil ok true: a value; false: closed and drained; nil: timed out
function Channel:recv(timeout)
  if timeout then return recv_within(self, timeout) end
  local r = C.npl_channel_recv(W, self.h)
  if r >= 0 then
    local v = V[r]
    V[r] = false
    return v, true
  end
  return recv_slow(self, r)
end

--- Receives if that needs no waiting; results as `recv`.
function Channel:try_recv()
  local r = C.npl_channel_try_recv(W, self.h)
  if r == AGAIN then return nil, nil end
  return recv_slow(self, r)
end

-- A tail call: a frame in between would cost each loop a trace.
local function next_value(self) return self:recv() end

--- `for v in ch:iter() do`: until closed and drained.
function Channel:iter() return next_value, self end

-- --- send ------------------------------------------------------------------------------------

local send_again

-- A send that waited in vain: its slot, if it had one, has just been given back.
local function not_sent(self, k)
  if not C.npl_channel_is_shared(self.h) then V[W.slot] = false end
  if k == TIMEOUT then return false end
  return raise(self, k, 'send')
end

local function after_send(self, k)
  if k == 0 then return true end
  return not_sent(self, k)
end

local function send_value(self, v)
  if type(v) == 'number' then return C.npl_channel_send_number(W, self.h, v) end
  if type(v) == 'string' then return C.npl_channel_send_string(W, self.h, v, #v) end
  value.put(v)
  return C.npl_channel_send_staged(W, self.h, true)
end

local function refuse_nil(self)
  return errors.raise(errors.argument(
    ('cannot send nil on %s; fix: neap.null; to end: ch:close()'):format(label(self))))
end

local function sent(self, v, r)
  if r == PARKED then return after_send(self, park()) end
  if r == 0 then return true end
  return send_again(self, v, r)
end

local function send_retry(self, v) return self:send(v) end

-- `k`: the result of a try.
function send_again(self, v, k)
  if k == TRAVELS then
    self.shared = true
    return sent(self, v, send_value(self, v))
  end
  if k == YIELD then return send_retry(self, v, park()) end
  if k == PUMP then return after_send(self, scheduler.pump()) end
  if k == DONE then return true end -- Dropped, as its overflow says.
  return raise(self, k, 'send')
end

local function send_slow(self, v, r)
  if r == PARKED then
    V[W.slot] = v
    return after_send(self, park())
  end
  if r == PUMP then V[W.slot] = v end
  return send_again(self, v, r)
end

local function send_within(self, v, timeout)
  args.timeout(timeout, 'timeout')
  local r
  repeat
    r = C.npl_channel_send(W, self.h)
    if r == TRAVELS then r = send_value(self, v) end
    if r == YIELD then park() end
  until r ~= YIELD
  local shared = C.npl_channel_is_shared(self.h)
  if r >= 0 then
    if not shared then V[r] = v end
    return true
  end
  if r ~= PARKED and r ~= PUMP then return send_again(self, v, r) end
  if not shared then V[W.slot] = v end
  r = C.npl_limit(W, r, timeout)
  if r == PARKED then return after_send(self, park()) end
  if r == PUMP then return after_send(self, scheduler.pump()) end
  return not_sent(self, r)
end

--- Sends, waiting for room or a receiver.
--- @param v any but nil
--- @param timeout? number seconds
--- @return boolean sent false: timed out. Raises `closed`
function Channel:send(v, timeout)
  if v == nil then return refuse_nil(self) end
  if timeout ~= nil then return send_within(self, v, timeout) end
  if self.shared then return sent(self, v, send_value(self, v)) end
  local r = C.npl_channel_send(W, self.h)
  if r >= 0 then
    V[r] = v
    return true
  end
  return send_slow(self, v, r)
end

--- Sends if that needs no waiting.
function Channel:try_send(v)
  if v == nil then return refuse_nil(self) end
  local r = C.npl_channel_try_send(W, self.h)
  if r >= 0 then
    V[r] = v
    return true
  end
  if r == TRAVELS then
    value.put(v)
    r = C.npl_channel_send_staged(W, self.h, false)
    if r == 0 then return true end
  end
  if r == AGAIN then return false end
  if r == DONE then return true end
  return raise(self, r, 'send')
end

--- No more sends; what is in the channel can still be received. Closing twice raises `closed`.
function Channel:close()
  if C.npl_channel_close(W, self.h) == CLOSED then
    return errors.raise(errors.closed('close of closed ' .. label(self)))
  end
end

function Channel:is_closed() return C.npl_channel_is_closed(self.h) end
--- @return integer items in it; parked senders do not count
function Channel:len() return C.npl_channel_len(self.h) end
function Channel:capacity() return C.npl_channel_capacity(self.h) end
--- @return integer items that its overflow has dropped
function Channel:dropped() return C.npl_channel_dropped(self.h) end

--- A send case for `neap.select`; reusable: `case.value = v`.
function Channel:sending(v) return setmetatable({ channel = self, value = v }, SendCase) end

local function view(self, class)
  return setmetatable({ h = self.h, name = self.name, shared = false, of = self }, class)
end

local function refusing(what, names)
  local methods = {}
  for name, method in pairs(Channel) do methods[name] = method end
  for _, name in ipairs(names) do
    methods[name] = function()
      return errors.raise(errors.argument(('%s on a %s view of a channel'):format(name, what)))
    end
  end
  return args.strict(methods, 'a channel')
end

local ReceiveMeta, SendMeta = { __name = 'neap.Channel' }, { __name = 'neap.Channel' }
--- Views of one direction.
function Channel:receive_only() return view(self, ReceiveMeta) end
function Channel:send_only() return view(self, SendMeta) end

local travel = value.traveler(KIND, promote)
Meta.__travel = travel
ReceiveMeta.__travel = travel
SendMeta.__travel = travel

local function describe(self)
  local closed = self:is_closed() and ', closed' or ''
  return ('%s (%d of %d%s)'):format(label(self), self:len(), self:capacity(), closed)
end
Meta.__tostring, ReceiveMeta.__tostring, SendMeta.__tostring = describe, describe, describe

args.strict(Channel, 'a channel')
ReceiveMeta.__index = refusing('receive-only', { 'send', 'try_send', 'sending', 'close' })
SendMeta.__index = refusing('send-only', { 'recv', 'try_recv', 'iter' })

local function wrap(h, name)
  local self = keep.own(setmetatable({ h = h, name = name or false, shared = false }, Meta), h)
  value.know(h, self)
  return self
end

value.define(KIND, function(pointer) return wrap(ffi.cast('np_channel *', pointer)) end)

local OPTIONS = {
  name = args.string, shared = args.boolean,
  overflow = function(v, name)
    return args.one_of(v, name, { 'block', 'drop_new', 'drop_old', 'error' })
  end,
}
local NONE = {}

--- @param capacity? integer items; 0 (the default) is a rendezvous
--- @param options? table name, overflow ("block", "drop_new", "drop_old", "error"), shared
--- @return neap.Channel
local function new(capacity, options)
  if capacity == nil then capacity = 0 end
  args.integer(capacity, 'capacity', 0, CAPACITY_MAX)
  if options then args.options(options, OPTIONS, 'channel') else options = NONE end
  local h = C.npl_channel_open(W, capacity, OVERFLOW[options.overflow or 'block'],
    options.shared or false)
  if h == nil then return errors.raise(errors.memory 'a channel') end
  return wrap(h, options.name)
end

return {
  new = new, KIND = KIND, Meta = Meta, ReceiveMeta = ReceiveMeta, SendMeta = SendMeta,
  SendCase = SendCase, label = label,
}

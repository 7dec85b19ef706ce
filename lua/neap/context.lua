--- Contexts: a tree of cancellation, deadline, cause and values. Every task runs under one, and
--- every blocking call watches it. Values and causes travel: they are copied where they are set.
local ffi = require 'ffi'
local args = require 'neap.args'
local errors = require 'neap.errors'
local keep = require 'neap.keep'
local native = require 'neap.ffi'
local scheduler = require 'neap.scheduler'
local value = require 'neap.value'
local C, W = native.C, native.W
local OK, TIMEOUT = native.OK, native.TIMEOUT

local KIND = 2
local Context = {}
local Meta = { __index = Context, __name = 'neap.Context', __travel = value.traveler(KIND) }

local own = keep.own

-- `kind`, `parent` and `key_name` are for messages; what is absent is found in the class.
local function wrap(h, kind, parent)
  if h == nil then return errors.raise(errors.memory 'a context') end
  return own(setmetatable({ h = h, kind = kind, parent = parent }, Meta), h)
end

-- Several objects may stand for one context: they compare equal.
Meta.__eq = function(a, b) return a.h == b.h end

value.define(KIND, function(pointer)
  return wrap(ffi.cast('np_context *', pointer), 'context', false)
end)

local function check(ctx)
  if type(ctx) == 'table' and getmetatable(ctx) == Meta then return ctx end
  return errors.raise(errors.argument(('expected a context, got %s'):format(tostring(ctx))))
end

local function child(self, h, kind) return wrap(h, kind, self) end

--- @return neap.Context child that `cancel` ends
function Context:with_cancel()
  check(self)
  return child(self, C.npl_scope_open(W, self.h), 'with_cancel')
end

local function until_time(self, at, cause, kind)
  value.put(cause)
  return child(self, C.npl_context_until(W, self.h, at), kind)
end

--- @param seconds number
--- @param cause? any its cause if the time ends it; must be sendable
function Context:with_timeout(seconds, cause)
  check(self)
  args.number(seconds, 'seconds')
  return until_time(self, C.npl_now(W) + seconds, cause, 'with_timeout')
end

--- @param at number as `neap.now()`
function Context:with_deadline(at, cause)
  check(self)
  args.number(at, 'at')
  return until_time(self, at, cause, 'with_deadline')
end

local KEYS = { string = true, number = true, boolean = true }

--- Binds `key` for this context and all below. Keys are strings, numbers or booleans; the value
--- is copied. A nil value hides an older binding.
function Context:with_value(key, v)
  check(self)
  if key == nil then errors.raise(errors.argument 'with_value: the key is nil') end
  if not KEYS[type(key)] then
    local text = 'with_value: a key is a string, a number or a boolean, got a %s'
    errors.raise(errors.argument(text:format(type(key))))
  end
  value.put(key)
  C.npl_context_key(W)
  value.put(v)
  local ctx = child(self, C.npl_context_value(W, self.h), 'with_value')
  ctx.key_name = tostring(key)
  return ctx
end

--- Sees the values of this context, neither its end nor its deadline.
function Context:without_cancel()
  check(self)
  return child(self, C.npl_context_detached(W, self.h), 'without_cancel')
end

local CANCELABLE = { with_cancel = true, with_timeout = true, with_deadline = true, context = true }

--- Ends this context and all below it; later calls change nothing.
--- @param cause? any must be sendable; `ctx:cause()` gives it back
function Context:cancel(cause)
  check(self)
  if not CANCELABLE[self.kind] then
    local text = 'cancel of a %s context; fix: cancel a child made by with_cancel'
    errors.raise(errors.state(text:format(self.kind)))
  end
  if cause ~= nil then value.put(cause) else C.npl_put_nothing(W) end
  C.npl_context_cancel(W, self.h)
end

local function cause_of(self)
  C.npl_context_cause(W, self.h)
  return value.take()
end

--- @return neap.Error|nil kind `canceled` or `deadline` once it has ended
function Context:err()
  local state = C.npl_context_state(self.h)
  if state == OK then return nil end
  local e = state == TIMEOUT and errors.deadline() or errors.canceled()
  e.cause = cause_of(self)
  return e
end

--- What `cancel` was given (or the cause of the deadline), else the error itself; nil while live.
function Context:cause()
  if C.npl_context_state(self.h) == OK then return nil end
  local cause = cause_of(self)
  if cause ~= nil then return cause end
  return self:err()
end

--- @return number|nil the nearest deadline of it and its ancestors, as `neap.now()`
function Context:deadline()
  local at = C.npl_context_deadline(self.h)
  return at >= 0 and at or nil
end

--- @return any the nearest binding of `key`; nil when there is none
function Context:value(key)
  check(self)
  if not KEYS[type(key)] then return nil end
  value.put(key)
  C.npl_context_lookup(W, self.h)
  return value.take()
end

function Context:is_done() return C.npl_context_state(self.h) ~= OK end

-- What waits for the context's end on behalf of `done` and `after`.
local function watch(self, stop, fn)
  local select = require 'neap.select'
  local index = select.select { self, stop }
  if index == 1 then fn() end
end

--- @return neap.Channel that closes when the context ends; the same one each time
function Context:done()
  check(self)
  local ch = rawget(self, 'done_channel')
  if ch then return ch end
  local channel, task = require 'neap.channel', require 'neap.task'
  ch = channel.new(0, { name = 'done' })
  rawset(self, 'done_channel', ch)
  if self:is_done() then
    ch:close()
  else
    local stop = channel.new(0)
    task.go({ name = 'ctx:done', daemon = true }, watch, self, stop, function() ch:close() end)
  end
  return ch
end

local function run_after(self, fn)
  require('neap.scope').with_context(self:without_cancel(), fn)
end

--- Once done, runs `fn` in a task of this scope under `ctx:without_cancel()`.
--- @return function stop true if it prevented that
function Context:after(fn)
  check(self)
  args.callable(fn, 'fn')
  local channel, task = require 'neap.channel', require 'neap.task'
  local stop, pending = channel.new(0), true
  task.go({ name = 'ctx:after', daemon = true }, watch, self, stop, function()
    if not pending then return end
    pending = false
    return run_after(self, fn)
  end)
  return function()
    if not pending then return false end
    pending = false
    stop:close()
    return true
  end
end

--- Detaches it early; the collector does so else.
function Context:close()
  check(self)
  if C.npl_context_state(self.h) == OK and CANCELABLE[self.kind] then
    value.put(nil)
    C.npl_context_cancel(W, self.h)
  end
end

--- The chain, root first; values are not shown.
function Meta.__tostring(self)
  local name = self.key_name and ('%s(%s)'):format(self.kind, self.key_name) or self.kind
  return self.parent and tostring(self.parent) .. '.' .. name or name
end
args.strict(Context, 'a context')
rawset(Context, 'done_channel', false)
rawset(Context, 'key_name', false)

local background

return {
  KIND = KIND,
  Meta = Meta,
  check = check,
  --- The context that this task runs under.
  current = function() return wrap(C.npl_current(W), 'context', false) end,
  --- The root.
  background = function()
    if not background then background = wrap(C.npl_root(W), 'background', false) end
    return background
  end,
  cause = scheduler.cause,
}

--- Groups: tasks that are waited for together. The first error cancels the others, or all errors
--- are collected and nobody is canceled.
local args = require 'neap.args'
local channel = require 'neap.channel'
local context = require 'neap.context'
local errors = require 'neap.errors'
local scheduler = require 'neap.scheduler'
local scope = require 'neap.scope'
local task = require 'neap.task'
local value = require 'neap.value'
local native = require 'neap.ffi'
local C, W = native.C, native.W

local Group = {}
local Meta = { __index = Group, __name = 'neap.Group' }

local function finished(self, ok, ...)
  self.active = self.active - 1
  if not ok then
    local e = (...)
    self.errors[#self.errors + 1] = e
    if self.policy == 'first' and not self.ctx:is_done() then self.ctx:cancel(e) end
  end
  for _, note in ipairs(self.waiters) do note:try_send(true) end
end

-- Runs in a task of the caller's scope, under the group's context; the group has the error.
local function member(self, fn, ...)
  finished(self, pcall(scope.with_context, self.ctx, fn, ...))
end

local function spawned_member(self, h)
  finished(self, pcall(h.join, h))
end

local function spawn_under(ctx, fn, ...) return scope.with_context(ctx, fn, ...) end

local function is_full(self) return self.limit and self.active >= self.limit end

-- Waits until a task of the group ends; leaves nothing behind when it is canceled.
local function wait_for_end(self)
  local note = channel.new(1)
  table.insert(self.waiters, note)
  local ok, e = pcall(note.recv, note)
  for index, other in ipairs(self.waiters) do
    if other == note then
      table.remove(self.waiters, index)
      break
    end
  end
  if not ok then return error(e, 0) end
end

local function wait_for_room(self)
  while is_full(self) do wait_for_end(self) end
end

local function admit(self)
  -- After a wait that went well a group may be used again, under a new context.
  if self.waited and #self.errors == 0 and self.ctx:is_done() then
    self.ctx = self.parent:with_cancel()
  end
  self.active = self.active + 1
  self.waited = false
  if not self.kept and not C.npl_is_outside(W) then
    self.kept = true
    scheduler.keep_isolated(self)
  end
end

local function start_go(self, fn, ...)
  admit(self)
  return task.go(member, self, fn, ...)
end

local function start_spawn(self, fn, ...)
  admit(self)
  local h = task.spawn({ isolated = true }, spawn_under, self.ctx, fn, ...)
  h.joined = true -- The group asks for its error.
  task.go(spawned_member, self, h)
  return h
end

--- Starts a task of the group here; waits while the group is at its limit.
function Group:go(fn, ...)
  args.callable(fn, 'fn')
  wait_for_room(self)
  return start_go(self, fn, ...)
end

--- The same in the pool.
function Group:spawn(fn, ...)
  args.callable(fn, 'fn')
  wait_for_room(self)
  return start_spawn(self, fn, ...)
end

--- @return neap.Task|false false when the group is at its limit
function Group:try_go(fn, ...)
  args.callable(fn, 'fn')
  return not is_full(self) and start_go(self, fn, ...)
end

function Group:try_spawn(fn, ...)
  args.callable(fn, 'fn')
  return not is_full(self) and start_spawn(self, fn, ...)
end

--- @param n integer|nil tasks at once; nil: no limit. Only while none is active
function Group:set_limit(n)
  if self.active ~= 0 then
    local text = 'set_limit while %d tasks of the group are active'
    errors.raise(errors.state(text:format(self.active)))
  end
  self.limit = n and args.integer(n, 'n', 0, 2 ^ 31) or false
end

--- The context that the group's tasks run under; ends with the first error, or after `wait`.
function Group:context() return self.ctx end

local function all_errors(list)
  local texts = {}
  for index, e in ipairs(list) do texts[index] = tostring(e) end
  local e = errors.new('error', {
    message = ('%d tasks of the group failed: %s'):format(#list, table.concat(texts, '; ')),
    cause = list[1], also = list,
  })
  return e
end

--- Waits for all; raises the first error ("all": one error that lists them). Sticky.
function Group:wait()
  while self.active > 0 do wait_for_end(self) end
  self.waited = true
  if not self.ctx:is_done() then self.ctx:cancel() end
  local list = self.errors
  if #list == 0 then return end
  if self.policy == 'all' and #list > 1 then return error(all_errors(list), 0) end
  return error(list[1], 0)
end

-- For the scope's end: the error that nobody came for.
function Group:unclaimed()
  if not self.waited then return self.errors[1] end
end

-- The scope may forget it until it is used again.
function Group:settled()
  if self.active > 0 or not self.waited then return false end
  self.kept = false
  return true
end

args.strict(Group, 'a group')

local OPTIONS = {
  limit = function(v, name) return args.integer(v, name, 0, 2 ^ 31) end,
  errors = function(v, name) return args.one_of(v, name, { 'first', 'all' }) end,
  context = function(v) return context.check(v) end,
}

--- @param options? table limit (tasks at once), errors ("first", "all"), context
--- @return neap.Group
local function new(options)
  options = args.options(options, OPTIONS, 'group')
  local parent = options.context or context.current()
  local self = setmetatable({
    parent = parent, ctx = parent:with_cancel(),
    limit = options.limit or false, policy = options.errors or 'first',
    active = 0, errors = {}, waiters = {}, waited = true, kept = false,
  }, Meta)
  return self
end

return { new = new, value = value }

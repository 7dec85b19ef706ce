--- Runs the generated loops of a Lua step, slice by slice, and hands on what they give: to the next
--- loop of the step, or as a chunk to what lies behind it.
local errors = require 'neap.errors'
local fault = require 'neap.flow.fault'
local fuse = require 'neap.flow.fuse'
local native = require 'neap.ffi'
local pack = require 'neap.flow.pack'
local scheduler = require 'neap.scheduler'
local C, W = native.C, native.W
local YIELD, STOP = native.YIELD, fault.STOP
local min, max, floor = math.min, math.max, math.floor

local END = 5
local MOST_SLICE, MOST_OUT = 65536, fuse.MOST_OUT

local loops = {
  --- Set by the driver: runs what lies behind a step until it needs more.
  drive = nil,
}

-- --- time --------------------------------------------------------------------------------------

-- A slice is what the loops do between two looks around: about a millisecond. One that took long
-- may have been off its CPU; two in a row are slow.
local function adapt(self, items, seconds)
  if self.forced then return end
  if seconds > 0.002 then
    local slow = self.slow and floor(items * 0.001 / seconds) or floor(self.slice / 2)
    self.slice, self.slow = max(1, min(slow, self.slice)), true
  else
    self.slow = false
    if seconds > 0.0002 or items * 4 < self.slice then return end
    self.slice = min(self.slice * 2, MOST_SLICE)
  end
  self.turn.slice = self.slice
end

local function look_around()
  local status = C.npl_check(W)
  if status == 0 then return end
  if status == YIELD then
    scheduler.park()
  else
    scheduler.raise(status, 'flow')
  end
end

-- --- loops -------------------------------------------------------------------------------------

local run_loop

local function pass_on(self, step)
  if loops.drive(self, step.k + 1) ~= END then return end
  self.closed = true
  return error(STOP, 0)
end

local function give(self, step, loop, n)
  if loop.keep then
    if C.npl_segment_select(self.turn, step.k, loop.keep, n) ~= 0 then
      errors.raise(errors.memory 'chunk')
    end
    pass_on(self, step)
    return false
  end
  local from = 1
  while from <= n do
    local ok, chunk, next_from = pcall(pack.pack, self.turn, loop.out, from, n)
    if not ok then return error(fault.place(errors.user(chunk), loop.items[#loop.items]), 0) end
    C.npl_segment_give(self.turn, step.k, chunk)
    pass_on(self, step)
    from = next_from
  end
  return false
end

-- True when a loop behind wants no more.
local function sink(self, step, j, n)
  if j < #step.loops then return run_loop(self, step, j + 1, 'items', step.loops[j].out, 1, n) end
  return give(self, step, step.loops[j], n)
end

local function is_done(loop)
  for k, item in ipairs(loop.items) do
    if item.op.is_done and item.op.is_done(loop.state, k) then return true end
  end
  return false
end

local function stop(self, step, j)
  step.stopped = max(step.stopped or 0, j)
  C.npl_segment_stop(W, self.turn, step.k)
  return true
end

local function room_of(self, loop)
  if loop.reduces then return self.slice end
  return C.npl_segment_room(self.turn, MOST_OUT)
end

-- Runs loop j over items from..to of `src`; true when it, or one behind it, wants no more.
function run_loop(self, step, j, form, src, from, to, a, b)
  local loop = step.loops[j]
  if loop.stops and is_done(loop) then return stop(self, step, j) end
  local made = loop.forms[form] or fuse.compile(loop, form)
  local run, handler, call = made.run, made.handler, made.call
  call.src, call.a, call.b = src, a, b
  while from <= to do
    local last = min(from + room_of(self, loop) - 1, to)
    local began = C.npl_now(W)
    local ok, n = xpcall(run, handler, src, from, last, a, b)
    if not ok then
      if n == STOP and not self.closed then return true end
      return error(n, 0)
    end
    adapt(self, last - from + 1, C.npl_now(W) - began)
    if n > 0 and sink(self, step, j, n) then return true end
    if loop.stops and is_done(loop) then return stop(self, step, j) end
    from = last + 1
    if from <= to then look_around() end
  end
  return false
end

loops.run, loops.sink, loops.room = run_loop, sink, room_of

return loops

--- Runs a segment that has Lua steps: asks C for the next turn, runs the generated loops of a step
--- on the chunk at hand, gives back what comes out, and waits when C says so.
local ffi = require 'ffi'
local errors = require 'neap.errors'
local fault = require 'neap.flow.fault'
local fuse = require 'neap.flow.fuse'
local loops = require 'neap.flow.loops'
local native = require 'neap.ffi'
local pack = require 'neap.flow.pack'
local scheduler = require 'neap.scheduler'
local C, W = native.C, native.W
local PARKED, PUMP, YIELD, CANCELED = native.PARKED, native.PUMP, native.YIELD, native.CANCELED
local run_loop, sink, room_of = loops.run, loops.sink, loops.room
local park, STOP = scheduler.park, fault.STOP
local max = math.max

local RUN, PULL, FLUSH, NEED, END = 1, 2, 3, 4, 5
local NUMBERS, BYTES, PAIRS, SPAN = 1, 2, 3, 4
local MOST_OUT, MOST_EMITTED = fuse.MOST_OUT, 1024

local driver = {}

-- --- forms of input ----------------------------------------------------------------------------

local function add_strings(step, turn, codes)
  local base, starts, lengths = turn.base, turn.starts, turn.lengths
  local fresh, first, count = codes.fresh, codes.first, codes.fresh_count
  local strings = step.strings
  for index = 0, count - 1 do
    local at = fresh[index]
    strings[first + index] = ffi.string(base + starts[at], lengths[at])
  end
  local prefix = step.prefix
  if prefix and count > 0 then
    prefix.call.src = strings
    local ok, e = xpcall(prefix.run, prefix.handler, strings, first, first + count - 1)
    if not ok then return error(e, 0) end
  end
end

local function run_bytes(self, step)
  local turn, loop = self.turn, step.loops[1]
  local count = turn.count
  if step.keeps then fuse.keep(loop, max(count, MOST_OUT)) end
  local codes = step.codes
  local status = C.npl_segment_codes(turn, step.k, codes)
  if status == native.NOMEM then errors.raise(errors.memory 'dictionary') end
  if status ~= 0 then
    return run_loop(self, step, 1, 'items', pack.strings(step.direct, turn), 0, count - 1)
  end
  if codes.epoch ~= step.epoch then
    step.epoch, step.strings = codes.epoch, {}
  end
  add_strings(step, turn, codes)
  return run_loop(self, step, 1, 'codes', codes.codes, 0, count - 1, step.strings)
end

local function run_span(self, step)
  local turn = self.turn
  local first, by, index, count = turn.first, turn.by, turn.index, turn.count
  if by == 1 and first % 1 == 0 then
    local from = first + index
    return run_loop(self, step, 1, 'unit', nil, from, from + count - 1)
  end
  return run_loop(self, step, 1, 'span', nil, index, index + count - 1, first, by)
end

local function run_chunk(self, step)
  local turn = self.turn
  local layout, count = turn.layout, turn.count
  if layout == BYTES then return run_bytes(self, step) end
  if step.keeps then -- What was bytes so far is something else now.
    step.keeps, step.loops[1].keep, step.loops[1].forms = false, nil, {}
    step.loops[1].keeps = false
  end
  if layout == SPAN then return run_span(self, step) end
  if layout == NUMBERS then
    return run_loop(self, step, 1, 'numbers', turn.numbers, 0, count - 1)
  end
  if layout == PAIRS then
    return run_loop(self, step, 1, 'items', pack.pairs({}, turn), 0, count - 1)
  end
  return run_loop(self, step, 1, 'items', pack.any(turn, step.k), 1, count)
end

-- --- turns -------------------------------------------------------------------------------------

local function pull(self, step)
  local loop = step.loops[1]
  local item = loop.items[1]
  local ok, src, from, to = xpcall(item.op.pull, errors.catch, loop.state, room_of(self, loop))
  if not ok then return error(fault.place(src, item), 0) end
  if not src then return C.npl_segment_exhausted(self.turn) end
  run_loop(self, step, 1, 'items', src, from, to)
end

local function finish(self, step, j, k, item)
  local loop, n = step.loops[j], 0
  local out = loop.out
  local function emit(v)
    n = n + 1
    out[n] = v
    if n < MOST_EMITTED then return end
    n = 0
    if sink(self, step, j, MOST_EMITTED) then error(STOP, 0) end
  end
  local ok, e = xpcall(item.op.finish, function(raised)
    return raised == STOP and STOP or errors.catch(raised)
  end, loop.state, k, item, emit)
  if not ok then
    if e ~= STOP then fault.place(e, item) end
    if e ~= STOP or self.closed then return error(e, 0) end
    return
  end
  if n > 0 then sink(self, step, j, n) end
end

local function flush(self, step)
  for j = 1, #step.loops do
    local item = step.loops[j].reduces
    if j >= (step.stopped or 1) and item and item.op.finish then
      finish(self, step, j, #step.loops[j].items, item)
    end
  end
  C.npl_segment_flushed(self.turn)
end

local function take_turn(self, kind)
  local step = self.steps[self.turn.step]
  if kind == RUN then
    run_chunk(self, step)
    return C.npl_segment_consumed(self.turn, step.k)
  end
  if kind == PULL then return pull(self, step) end
  return flush(self, step)
end

-- At the bottom of the stack: a flow that wants no more is no error.
local function take_turn_below(self, kind)
  local ok, e = pcall(take_turn, self, kind)
  if not ok and e ~= STOP then return error(e, 0) end
end

-- Runs what lies behind step `base` - 1 until it needs more; everything when `base` is 0.
local function drive(self, base)
  local turn, code = self.turn, 0
  while true do
    local r = C.npl_segment_next(W, turn, base, code)
    code = 0
    if r == RUN or r == PULL or r == FLUSH then
      if base == 0 then take_turn_below(self, r) else take_turn(self, r) end
    elseif r == PARKED or r == YIELD then
      code = park()
    elseif r == PUMP then
      code = scheduler.pump()
    elseif r == NEED or r == END then
      return r
    elseif r == CANCELED then
      return scheduler.raise(r, 'flow')
    elseif r == native.STATE then -- The run knows what; whoever started it says so.
      return error(errors.new('error', { message = 'the flow failed' }), 0)
    else
      return scheduler.raise(r, 'flow')
    end
  end
end

loops.drive = drive

-- --- opening -----------------------------------------------------------------------------------

local codes_type = ffi.typeof 'np_codes'

local function open_step(self, k, items, is_last)
  for _, item in ipairs(items) do item.op = require('neap.flow.ops.' .. item.op_name) end
  local step = {
    k = k, loops = fuse.loops(items), direct = {}, strings = {}, codes = codes_type(),
  }
  for j, loop in ipairs(step.loops) do
    for _, item in ipairs(loop.items) do loop.stops = loop.stops or item.op.is_done ~= nil end
    if loop.flat then
      loop.flush = function(n)
        if sink(self, step, j, n) then error(STOP, 0) end
      end
    end
  end
  local first = step.loops[1]
  step.prefix = fuse.prefix(first)
  step.keeps = #step.loops == 1 and not is_last and fuse.only_filters(first)
  first.keeps = step.keeps
  return step
end

--- Runs one segment to its end.
--- @param run cdata np_run *
--- @param spec table steps (number -> list of stages), count, last (the last segment), forced
--- @return any result of the last segment
function driver.run(run, segment, instance, spec)
  local turn = C.npl_segment_open(run, segment, instance)
  if turn == nil then errors.raise(errors.memory 'a segment of a flow') end
  local self = {
    turn = turn, steps = {}, slice = tonumber(turn.slice), slow = false, forced = spec.forced,
    closed = false,
  }
  local last
  for k, items in pairs(spec.steps) do
    self.steps[k] = open_step(self, k, items, spec.last and k == spec.count - 1)
    if k == spec.count - 1 then last = self.steps[k] end
  end
  drive(self, 0)
  if spec.last then return last.loops[#last.loops].state.result end
end

--- What is spawned: the address of the run, which outlives its tasks.
function driver.work(address, segment, instance, spec)
  driver.run(ffi.cast('np_run *', ffi.cast('uintptr_t', address)), segment, instance, spec)
end

return driver

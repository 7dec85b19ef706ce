--- Testing: a bubble of virtual time, many interleavings, and a check that nothing is left.
local args = require 'neap.args'
local errors = require 'neap.errors'
local native = require 'neap.ffi'
local scheduler = require 'neap.scheduler'
local scope = require 'neap.scope'
local task = require 'neap.task'
local C, W = native.C, native.W

local test = {}

local function leave_bubble(bubble, ok, ...)
  C.npl_bubble_leave(W, bubble)
  if not ok then return error((...), 0) end
  return ...
end

local function body(bubble, fn, ...)
  local function over(...)
    C.npl_bubble_over(W, bubble) -- Time stands still once the root has returned.
    return ...
  end
  return scope.scope(function(...) return over(fn(...)) end, ...)
end

local function inside(seed, fn, ...)
  if C.npl_in_bubble(W) then errors.raise(errors.state 'neap.test.bubble inside a bubble') end
  local bubble = C.npl_bubble_enter(W, seed or -1)
  if bubble == nil then errors.raise(errors.memory 'a bubble') end
  return leave_bubble(bubble, xpcall(body, errors.catch, bubble, fn, ...))
end

local OPTIONS = { seed = args.number }

--- Runs `fn` in a bubble: `neap.now()` starts at 946684800 and moves only when every task of the
--- bubble waits. Tasks left parked raise `deadlock`.
--- @param options? table seed: also draws the order of ready tasks and of equal times
function test.bubble(fn, options)
  args.callable(fn, 'fn')
  options = args.options(options, OPTIONS, 'bubble')
  if options.seed then C.npl_seed(W, options.seed, true) end
  local function finished(ok, ...)
    if options.seed then C.npl_seed(W, options.seed, false) end
    if not ok then return error((...), 0) end
    return ...
  end
  if C.npl_is_outside(W) then
    local main = task.go({ name = 'bubble', isolated = true }, inside, options.seed, fn)
    return finished(pcall(main.join, main))
  end
  return finished(pcall(inside, options.seed, fn))
end

--- Returns when every other task of the bubble waits or has ended; time stands still.
function test.settle()
  if not C.npl_in_bubble(W) then
    errors.raise(errors.state(
      'neap.test.settle outside a bubble; fix: call it inside neap.test.bubble(fn)'))
  end
  local status = C.npl_settle(W)
  if status == native.STATE then
    errors.raise(errors.state 'neap.test.settle: another task of the bubble settles already')
  end
  local code = scheduler.wait(status)
  if code < 0 then return scheduler.raise(code, 'settle') end
end

--- Runs `fn` in `n` bubbles with different seeds; an error names the seed, which replays it.
function test.explore(n, fn)
  args.positive(n, 'n')
  args.callable(fn, 'fn')
  for seed = 1, n do
    local ok, e = pcall(test.bubble, fn, { seed = seed })
    if not ok then
      e = errors.user(e)
      e.seed = seed
      local text = '%s (seed %d: neap.test.bubble(fn, { seed = %d }) replays it)'
      e.message = text:format(e.message, seed, seed)
      return error(e, 0)
    end
  end
end

return args.strict(test, 'neap.test', '')

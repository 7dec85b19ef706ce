--- A game loop in a stock LuaJIT with Neap beside it: 60 frames a second, and each frame gives Neap
--- two milliseconds. Workers compute on other cores; the frame never waits for them.
---   luajit frames.lua [FRAMES]            runs, prints what the workers found
---   luajit frames.lua --measure [FRAMES]  prints frame times without Neap and with it
local ffi = require 'ffi'

-- A checkout works without being installed.
local root = arg[0]:match '^(.*)scripts/examples/embed/' or ''
package.path = ('%slua/?.lua;%slua/?/init.lua;%s'):format(root, root, package.path)
local neap = require 'neap'

local FRAME, WORK, BUDGET = 1 / 60, 0.004, 0.002

ffi.cdef [[
typedef struct { long seconds, nanoseconds; } frames_time;
int nanosleep(const frames_time *span, frames_time *left);
]]

local function sleep_until(when)
  local left = when - neap.now()
  if left <= 0 then return end
  ffi.C.nanosleep(ffi.new('frames_time', math.floor(left), left % 1 * 1e9), nil)
end

-- The game: moves things about for a few milliseconds.
local world = 1
local function play()
  local stop = neap.now() + WORK
  while neap.now() < stop do world = world * 1.0000001 + 0.5 end
end

-- On a worker: counts primes, says how far it is.
local function count_primes(from, to, progress)
  local found = 0
  for n = from, to do
    local prime = n > 1
    for d = 2, math.sqrt(n) do
      if n % d == 0 then
        prime = false
        break
      end
    end
    if prime then found = found + 1 end
    if n % 10000 == 0 then progress:try_send(n) end
  end
  return found
end

-- A task of this state: waits for a worker's answer without holding the frame.
local function start(count, size, progress, results)
  for index = 1, count do
    neap.go(function()
      local job = neap.spawn(count_primes, (index - 1) * size + 1, index * size, progress)
      local found = job:join() -- First: others may end while this one waits.
      results[#results + 1] = found
    end)
  end
end

local function look_at_neap(progress)
  neap.tick(BUDGET)
  while true do
    local n = progress:try_recv()
    if not n then return end -- A progress bar would be drawn here.
  end
end

local function run_frames(frames, progress, is_over)
  local frame_ms, neap_us = {}, {}
  local due = neap.now()
  for index = 1, frames do
    local begun = neap.now()
    play()
    local played = neap.now()
    if progress then look_at_neap(progress) end
    neap_us[index] = (neap.now() - played) * 1e6
    due = due + FRAME
    sleep_until(due)
    frame_ms[index] = (neap.now() - begun) * 1e3
    if is_over and is_over() then break end
  end
  table.sort(frame_ms)
  table.sort(neap_us)
  return frame_ms, neap_us
end

local function report(what, frame_ms, neap_us)
  local p50, p99 = math.ceil(#frame_ms / 2), math.ceil(#frame_ms * 0.99)
  print(('%-16s frame p50 %6.2f ms  p99 %6.2f ms   neap p50 %6.1f us  p99 %7.1f us')
    :format(what, frame_ms[p50], frame_ms[p99], neap_us[p50], neap_us[p99]))
end

local function measure(frames)
  local progress, results = neap.channel(64, { shared = true }), {}
  report('without neap', run_frames(frames))
  report('neap, idle', run_frames(frames, progress))
  start(64, 1e6, progress, results)
  report('neap, computing', run_frames(frames, progress))
end

local function run(frames)
  local progress, results = neap.channel(64, { shared = true }), {}
  start(8, 20000, progress, results)
  run_frames(frames, progress, function() return #results == 8 end)
  local total = 0
  for _, found in ipairs(results) do total = total + found end
  print(('%d of 8 workers ended, %d primes'):format(#results, total))
end

neap.configure { workers = 1 } -- The frame keeps a core.
local measures = arg[1] == '--measure'
local frames = tonumber(arg[measures and 2 or 1]) or measures and 300 or 120;
(measures and measure or run)(frames)
neap.close(1)

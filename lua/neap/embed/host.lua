--- Neap as a guest: what the loop of a host's state does besides running tasks. It hands out what
--- workers printed, sleeps the host's way, and says so when the process has forked.
local ffi = require 'ffi'
local errors = require 'neap.errors'
local native = require 'neap.ffi'
local C, W = native.C, native.W
local IDLE, OUTPUT, FORKED, PUMP = native.IDLE, native.OUTPUT, native.FORKED, native.PUMP

local host = {
  --- `configure{ wait = function(fd, seconds) end }`: returns when `fd` is readable, or after
  --- `seconds` (nil: never), or earlier.
  wait = nil,
  --- True while the loop runs: it must not be entered again from what it calls.
  running = false,
}

--- Gives what workers printed to this state's `print`, a whole line at a time.
function host.print_output()
  local line = C.npl_output(W)
  while line ~= nil do
    print(ffi.string(line, C.npl_output_length(W)))
    line = C.npl_output(W)
  end
  local lost = C.npl_output_lost(W)
  if lost > 0 then
    print(('neap: %d lines of workers were lost: over 1 MiB waited for the next turn'):format(lost))
  end
end

function host.forked_error()
  return errors.state('the engine belongs to the process that this one was forked from; '
    .. 'fix: neap.close() here, then the next call opens a fresh one')
end

-- Ends the wait that the loop was entered for, and the loop.
local function give_up(e)
  host.running = false
  C.npl_withdraw(W)
  return error(e, 0)
end

local function sleep()
  if C.npl_doze(W) then return end
  local left = C.npl_next_timer(W)
  local ok, e = pcall(host.wait, host.wake_fd(), left >= 0 and left or nil)
  if not ok then return give_up(e) end
end

--- What a turn of the loop found instead of a task.
--- @return integer code PUMP ends the loop
function host.turn(code)
  if code == OUTPUT then
    local ok, e = pcall(host.print_output) -- The host's print may raise.
    if not ok then return give_up(e) end
  elseif code == FORKED then
    local e = host.forked_error()
    e.where, e.traceback = errors.caller(), errors.traceback()
    return give_up(e)
  elseif code == IDLE then
    if not host.wait then return PUMP end
    sleep()
  end
  return code
end

--- A descriptor that is readable when there is something to do: a task can run, a timer is due, a
--- worker has printed. It stays the same for the engine's life; do not read from it.
--- @return integer
function host.wake_fd()
  if C.npl_forked(W) then return errors.raise(host.forked_error()) end
  local fd = C.npl_wake_fd(W)
  if fd >= 0 then return fd end
  return errors.raise(errors.new('io', { message = 'no descriptor left for wake_fd' }))
end

return host

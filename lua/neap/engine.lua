--- The engine's settings and its workers: started by the first `spawn`.
local args = require 'neap.args'
local errors = require 'neap.errors'
local host = require 'neap.embed.host'
local native = require 'neap.ffi'
local scheduler = require 'neap.scheduler'
local task = require 'neap.task'
local C, W = native.C, native.W

local engine = {}

local settings = { workers = nil, grace = 5 }
local started = false

local function default_workers()
  local asked = os.getenv 'NEAP_WORKERS'
  if asked then
    local count = tonumber(asked)
    if count and count >= 0 and count <= 256 and count % 1 == 0 then return count end
    local message = 'NEAP_WORKERS: expected an integer from 0 to 256, got %q'
    errors.raise(errors.argument(message:format(asked)))
  end
  return C.npl_cpus()
end

-- In a worker, and where a host in C has decided (neap.h).
local function has_no_say() return native.own and (native.own.guest or C.npl_number(W) ~= 0) end

--- Threads that run spawned tasks; the host's own is not counted.
--- @return integer
function engine.workers()
  if started or has_no_say() then return C.npl_workers(W) end
  return settings.workers or default_workers()
end

--- Starts the workers, once.
function engine.ensure_workers()
  if started then
    if C.npl_forked(W) then errors.raise(host.forked_error()) end
    return
  end
  if has_no_say() then return end
  local guest = not native.own or native.own.guest
  local status = C.npl_start(W, engine.workers(), native.library, package.path, package.cpath,
    guest)
  if status == native.FORKED then errors.raise(host.forked_error()) end
  if status ~= native.OK then errors.raise(errors.memory 'the workers') end
  started = true
end

local OPTIONS = {
  workers = function(v, name) return args.integer(v, name, 0, 256) end,
  grace = args.seconds,
  trace_starts = args.boolean,
  wait = function(v, name) return v == false or args.callable(v, name) end,
}

--- @param options table before the first spawn: workers, grace (seconds), trace_starts; in a host
--- also `wait = function(fd, seconds)`: blocking calls outside any task sleep so (false: our way)
function engine.configure(options)
  args.options(options, OPTIONS, 'configure')
  if options.workers and started and options.workers ~= engine.workers() then
    errors.raise(errors.state('configure{workers=} after the workers have started; '
      .. 'call it before the first spawn'))
  end
  if options.workers then settings.workers = options.workers end
  if options.grace then
    settings.grace = options.grace
    task.set_grace(options.grace)
  end
  if options.wait ~= nil then
    if native.own then
      errors.raise(errors.state 'configure{wait=} is for hosts: here the loop is ours')
    end
    host.wait = options.wait or nil
  end
end

local function has_halted() return C.npl_halted(W) end

--- Ends all tasks and the workers; the next call opens a fresh engine, and what belonged to the
--- old one raises `closed`.
--- @param timeout? number seconds in which tasks may unwind (`configure{grace=}`, 5, by default)
--- @return boolean clean false: a worker would not come back and was left behind
function engine.close(timeout)
  args.timeout(timeout, 'timeout')
  if native.own then
    errors.raise(errors.state 'neap.close: the engine ends with the program here')
  end
  if host.running or not C.npl_is_outside(W) then
    errors.raise(errors.state('neap.close inside a task, or in what the scheduler called; '
      .. 'fix: call it where the host calls neap.tick or neap.run'))
  end
  local grace = timeout or settings.grace
  local stop = C.npl_now(W) + grace
  C.npl_halt(W, grace)
  scheduler.run_until(has_halted, grace)
  local clean = C.npl_stop(W, math.max(stop - C.npl_now(W), 0) + 0.1) == native.OK
  pcall(host.print_output)
  require('neap.embed.bury').all()
  if C.npl_renew(W) ~= native.OK then errors.raise(errors.memory 'a fresh engine') end
  started = false
  return clean
end

return engine

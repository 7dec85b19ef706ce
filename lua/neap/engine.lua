--- The engine's settings and its workers: started by the first `spawn`.
local args = require 'neap.args'
local errors = require 'neap.errors'
local native = require 'neap.ffi'
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
    errors.raise(errors.argument(('NEAP_WORKERS: expected an integer from 0 to 256, got %q'):format(asked)))
  end
  return C.npl_cpus()
end

--- Threads that run spawned tasks; the host's own is not counted.
--- @return integer
function engine.workers()
  if started or native.own and C.npl_number(W) ~= 0 then return C.npl_workers(W) end
  return settings.workers or default_workers()
end

--- Starts the workers, once.
function engine.ensure_workers()
  if started then return end
  if native.own and C.npl_number(W) ~= 0 then return end
  local guest = not native.own or native.own.guest
  local status = C.npl_start(W, engine.workers(), native.library, package.path, package.cpath, guest)
  if status ~= native.OK then errors.raise(errors.memory 'the workers') end
  started = true
end

local OPTIONS = {
  workers = function(v, name) return args.integer(v, name, 0, 256) end,
  grace = args.seconds,
  trace_starts = args.boolean,
}

--- @param options table workers, grace (seconds), trace_starts; before the first spawn
function engine.configure(options)
  args.options(options, OPTIONS, 'configure')
  if options.workers and started and options.workers ~= engine.workers() then
    errors.raise(errors.state 'configure{workers=} after the workers have started; call it before the first spawn')
  end
  if options.workers then settings.workers = options.workers end
  if options.grace then
    settings.grace = options.grace
    task.grace = options.grace
  end
end

--- Ends all tasks and the workers. The engine of this state cannot be used afterwards.
--- @param timeout? number seconds to let tasks unwind
function engine.close(timeout)
  if native.own or engine.closed then return end
  engine.closed = true
  C.npl_close(W, timeout or settings.grace)
end

return engine

--- Endings: run, start, iter, explain. A graph runs in a scope of its own under a context; what is
--- parallel is spawned, what is bound to the caller runs here.
local args = require 'neap.args'
local driver = require 'neap.flow.driver'
local engine = require 'neap.engine'
local errors = require 'neap.errors'
local fault = require 'neap.flow.fault'
local ffi = require 'ffi'
local native = require 'neap.ffi'
local plan = require 'neap.flow.plan'
local problems = require 'neap.flow.problems'
local scope = require 'neap.scope'
local task = require 'neap.task'
local value = require 'neap.value'
local C, W = native.C, native.W

local run = {}

local OPTIONS = {
  timeout = args.seconds, name = args.string, progress = true,
  workers = function(v, name) return args.integer(v, name, 1, 4096) end,
  context = function(v) require('neap.context').check(v) return v end,
}

local function forced_chunk()
  local count = tonumber(os.getenv 'NEAP_CHUNK' or '')
  return count and count >= 1 and math.floor(count) or nil
end

local function open(stage, options)
  local graph, list = plan.graph(stage)
  local forced = forced_chunk()
  local workers = options.workers or math.max(1, engine.workers())
  local handle = C.npl_run_open(graph, workers, forced or 0)
  if handle == nil then errors.raise(errors.memory 'run') end
  return { handle = handle, graph = graph, list = list, forced = forced, errors = {} }
end

local function address(pointer) return ffi.cast('int64_t', ffi.cast('intptr_t', pointer)) end

-- Where the tasks of this state's next region begin, so that several jobs share the workers.
local next_worker = 0

local function target()
  local workers = math.max(1, engine.workers())
  next_worker = next_worker % workers + 1
  return next_worker
end

local function spawn_native(job, index, instance, worker)
  local status = C.npl_run_spawn(W, job.handle, index, instance, worker)
  if status == native.NOMEM then errors.raise(errors.memory 'task') end
  if status ~= 0 then errors.raise(errors.limit 'the queue of spawned tasks is full') end
end

local function spawn_region(job, index, spec)
  engine.ensure_workers()
  for instance = 0, C.npl_run_instances(job.handle, index) - 1 do
    local worker = target()
    if spec.has_lua then
      local options = { name = job.name }
      if engine.workers() > 0 then options.worker = worker end
      task.spawn(options, driver.work, address(job.handle), index, instance, spec)
    else
      spawn_native(job, index, instance, worker)
    end
  end
end

local function start_segment(job, index)
  local spec = job.specs[index]
  if C.npl_run_is_pooled(job.handle, index) then return spawn_region(job, index, spec) end
  if not spec.has_lua then return spawn_native(job, index, 0, 0) end
  task.go(driver.run, job.handle, index, 0, spec)
end

-- The last segment first looks whether everything can travel: nothing runs if something cannot.
local function prepare(job)
  job.specs = {}
  for index = 0, C.npl_run_segments(job.handle) - 1 do
    local spec = plan.segment(job.handle, job.list, index)
    spec.forced = job.forced
    if spec.has_lua then spec = plan.copy(spec) end
    if not C.npl_run_is_pooled(job.handle, index) then plan.attach(spec, job.list) end
    job.specs[index] = spec
  end
end

local function body(job)
  local last = C.npl_run_segments(job.handle) - 1
  for index = 0, last - 1 do start_segment(job, index) end
  return driver.run(job.handle, last, 0, job.specs[last])
end

local LAYOUTS = { 'numbers', 'strings', 'pairs', 'numbers', 'text', 'mixed values' }

-- What a native stage could not do.
local function fault_error(job)
  local kind = C.npl_run_fault(job.handle)
  if kind == 0 then return nil end
  if kind == 1 then return errors.memory 'flow' end
  local stage = job.list[C.npl_run_fault_node(job.handle) + 1]
  local name = stage.name or stage.op.name
  local wanted = stage.op.name == 'sum' and 'numbers' or 'strings'
  local e = errors.new('argument', {
    message = ('%s: expected %s, got %s'):format(name, wanted,
      LAYOUTS[C.npl_run_fault_layout(job.handle)]),
  })
  return fault.place(e, { label = name, where = stage.where })
end

local function context_of(options)
  local parent = options.context and options.context.h
  if not options.timeout then return C.npl_scope_open(W, parent) end
  local current = C.npl_current(W)
  value.put(nil)
  local context = C.npl_context_until(W, parent or current, C.npl_now(W) + options.timeout)
  C.npl_object_release(value.object(current))
  return context
end

--- The figures of a job, now or at its end.
function run.figures(job)
  if not job.handle then return job.last_figures end
  local figures = { segments = {}, errors = problems.drain(job.handle, job.errors) }
  for index = 0, C.npl_run_segments(job.handle) - 1 do
    figures.segments[index + 1] = {
      items_in = C.npl_run_figure(job.handle, index, 0),
      items_out = C.npl_run_figure(job.handle, index, 1),
      chunks = C.npl_run_figure(job.handle, index, 2),
      waiting = C.npl_run_figure(job.handle, index, 3),
    }
  end
  figures.files, figures.bytes = C.npl_run_files(job.handle, 0), C.npl_run_files(job.handle, 1)
  if C.npl_run_files(job.handle, 3) ~= 0 then -- No file will be found any more.
    figures.total_bytes = C.npl_run_files(job.handle, 2)
  end
  local numbers = job.list[1].op.name == 'range' and job.list[1].numbers
  if numbers then figures.total_items = numbers[3] end
  figures.items = figures.segments[1].items_in
  return figures
end

local function close(job)
  job.last_figures = run.figures(job)
  local handle = job.handle
  job.handle = nil
  C.npl_run_free(handle)
end

-- Under the command on a terminal, unless it was switched off.
local function show_progress(job, options)
  if options.progress == false or not native.own then return nil end
  return require('neap.cli.progress').attach(function() return run.figures(job) end)
end

--- Runs a job that was opened; its tasks have ended when this returns.
function run.execute(job, options)
  local shown = show_progress(job, options)
  local ok, result = pcall(function()
    prepare(job)
    return scope.run_under(context_of(options), body, job)
  end)
  if shown then shown:finish() end
  local failed = not ok and fault_error(job)
  close(job)
  if not ok then return error(failed or result, 0) end
  return result
end

function run.opened(stage, options, where)
  options = args.options(options, OPTIONS, where)
  local job = open(stage, options)
  job.name = options.name or tostring(stage)
  return job, options
end

--- Runs the graph: the value of a single-valued stage, else the list of items.
--- @param options? table timeout, context, workers, name
function run.run(stage, options)
  return run.execute(run.opened(stage, options, 'run'))
end

--- Starts it; returns a job.
function run.start(stage, options)
  local job, checked = run.opened(stage, options, 'start')
  return require('neap.flow.job').new(job, checked)
end

--- `for v in stage:iter() do`: pulls. A loop left early is canceled at its scope's end, when the
--- iterator is collected, or by `iter:close()`.
function run.iter(stage, options)
  return require('neap.flow.job').iterate(stage, options)
end

--- The plan as text.
function run.explain(stage)
  local job = open(stage, args.options(nil, OPTIONS, 'explain'))
  local text = C.npl_run_explain(job.handle)
  C.npl_run_free(job.handle)
  if text == nil then errors.raise(errors.memory 'text') end
  local copy = ffi.string(text)
  C.npl_text_free(text)
  return copy
end

return run

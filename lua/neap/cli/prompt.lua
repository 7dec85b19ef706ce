--- The prompt: reads entries, runs each in a task of its own, prints its values. Tasks that an
--- entry starts belong to the session, run on while the next one is typed, and what they print
--- appears above it. Without a terminal, standard input is a program.
local chunk = require 'neap.cli.chunk'
local errors = require 'neap.errors'
local native = require 'neap.ffi'
local show = require 'neap.cli.show'
local task = require 'neap.task'
local terminal = require 'neap.cli.terminal'
local C, W = native.C, native.W

local prompt = {}

local FIRST, NEXT = 'neap> ', '  ..> '

local function report(e)
  io.stderr:write('neap: ', errors.user(e):report(), '\n')
end

local function run_stdin()
  local program, message = loadstring(io.read '*a', '=stdin')
  if not program then
    io.stderr:write('neap: error: ', tostring(message), '\n')
    return 1
  end
  local ok, e = xpcall(require('neap.scope').scope, errors.catch, program)
  if ok then return 0 end
  e = errors.user(e)
  report(e)
  return e.kind == 'deadlock' and 2 or 1
end

--- One entry, over as many lines as it takes.
--- @return string|nil entry nil: the end; '' when it was dropped
local function read_entry(session)
  local text = terminal.ask(FIRST)
  while type(text) == 'string' do
    local _, _, incomplete = chunk.compile(session, text)
    if not incomplete then return text end
    local line = terminal.ask(NEXT)
    if type(line) ~= 'string' then return line and '' or nil end
    text = text .. '\n' .. line
  end
  return text and '' or nil
end

local function print_results(ok, ...)
  if not ok then
    local e = ...
    if terminal.presses() > 0 then return io.stderr:write 'interrupted\n' end
    return report(e)
  end
  local count = select('#', ...)
  if count == 0 then return end
  _G._ = (...)
  print(show.values(count, ...))
end

-- Ctrl-C is for the entry's task alone; what it started goes on.
local function run(fn)
  local self = task.go({ name = 'prompt', isolated = true }, fn)
  local outcome = task.waitable(self)
  terminal.aim(outcome)
  print_results(self:wait())
  terminal.aim(nil)
end

-- Errors of the session's tasks come to the root, which keeps the first.
local function watch_tasks()
  local scheduler, time = require 'neap.scheduler', require 'neap.time'
  while true do
    time.sleep(0.1)
    local ok, e = pcall(scheduler.raise_loose)
    if not ok then report(e) end
  end
end

local function evaluate(session, entry)
  if not entry:find '%S' then return end
  terminal.remember(entry)
  local fn, message = chunk.compile(session, entry)
  if not fn then
    io.stderr:write('neap: error: ', message, '\n')
    return
  end
  run(fn)
end

local function loop()
  local session = chunk.session()
  chunk.define(session, 'neap', require 'neap') -- A local: globals do not travel.
  task.go({ name = 'prompt errors', daemon = true }, watch_tasks)
  print(('neap %s, %s; Ctrl-C drops an entry, Ctrl-D leaves')
    :format(require 'neap.version', jit.version))
  while true do
    local entry = read_entry(session)
    if not entry then break end
    evaluate(session, entry)
  end
end

--- @return integer exit status
function prompt.run()
  if not terminal.is_there() or not terminal.open() then return run_stdin() end
  local ok, e = xpcall(loop, errors.catch)
  terminal.close()
  -- What the session started unwinds, and what it deferred runs, before we leave.
  require('neap.value').put(nil)
  C.npl_context_cancel(W, C.npl_root_context(W))
  if ok then return 0 end
  if e.kind ~= 'canceled' then report(e) end
  return 1
end

return prompt

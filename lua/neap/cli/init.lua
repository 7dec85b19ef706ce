--- The command line: `neap FILE [args]`, `neap -e CODE`, `neap -`, and the prompt on a terminal.
--- The whole program is the main task of a scope; exit statuses as in docs/command.md.
local ending = require 'neap.task.ending'
local errors = require 'neap.errors'
local native = require 'neap.ffi'
local scope = require 'neap.scope'
local task = require 'neap.task'
local C, W = native.C, native.W

local cli = {}

local USAGE = [[
usage: neap FILE [ARGS...]     run a program
       neap -e CODE [ARGS...]  run CODE
       neap - [ARGS...]        run what comes on standard input
       neap                    a prompt, on a terminal
       --progress=plain[:SECONDS] | line | off   before the others: how flows show progress
       neap --version | --help]]

local function usage_error(message)
  io.stderr:write('neap: ', message, '\n', USAGE, '\n')
  return 2
end

-- What the person who pressed Ctrl-C, or closed the pipe, knows already.
local ASKED_FOR = { ['interrupt signal received'] = true, ['the reader has gone'] = true }

local function report(e)
  e = errors.is(e) and e or errors.user(e)
  if e.kind == 'canceled' and ASKED_FOR[e.cause] then return 1 end
  io.stdout:flush() -- What was printed before it stands before it.
  io.stderr:write('neap: ', e:report(), '\n')
  return e.kind == 'deadlock' and 2 or 1
end

-- A script's own directory is looked in for its modules.
local function add_to_path(file)
  local directory = file:match '^(.*)/[^/]*$' or '.'
  package.path = ('%s/?.lua;%s/?/init.lua;%s'):format(directory, directory, package.path)
end

local function load_program(argv)
  local first = argv[1]
  if first == '-e' then
    if not argv[2] then return nil, usage_error '-e needs CODE' end
    return 3, loadstring(argv[2], '=(-e)')
  end
  if first == '-' then return 2, loadstring(io.read '*a', '=stdin') end
  add_to_path(first)
  return 2, loadfile(first)
end

local function program_arguments(argv, from)
  local list = { [0] = argv[from - 1] }
  for index = -1, -from + 1, -1 do list[index] = argv[from - 1 + index] end
  for index = from, #argv do list[index - from + 1] = argv[index] end
  return list
end

-- What parts of it could not do without failing as a whole: files that could not be read.
local function part_status()
  local found, status = pcall(require, 'neap.cli.status')
  return found and status.failed and 1 or 0
end

local function run_program(argv)
  local from, chunk, message = load_program(argv)
  if not from then return chunk end
  if not chunk then
    io.stderr:write('neap: error: ', tostring(message), '\n')
    return 1
  end
  arg = program_arguments(argv, from) -- luacheck: globals arg
  local ok, e = xpcall(scope.scope, errors.catch, chunk, unpack(arg))
  local late = ending.clean_up(task.current()) -- Before the workers are stopped.
  if ok and not late then return part_status() end
  if not ok and late then
    e.also = e.also or {}
    table.insert(e.also, late)
  end
  return report(ok and late or e)
end

-- Options of the command itself; the rest is the program's.
local function take_options(argv)
  while argv[1] and argv[1]:find '^%-%-progress' do
    local value = argv[1]:match '^%-%-progress=(.*)$'
    if not value or not require('neap.cli.progress').configure(value) then
      return usage_error('--progress is plain, plain:SECONDS, line or off')
    end
    table.remove(argv, 1)
  end
end

local function dispatch(argv)
  local wrong = take_options(argv)
  if wrong then return wrong end
  local first = argv[1]
  if first == '--help' or first == '-h' then
    print(USAGE)
    return 0
  end
  if first == '--version' then
    print('neap ' .. require('neap.version'))
    return 0
  end
  if first == nil then return require('neap.cli.prompt').run() end
  if first:sub(1, 1) == '-' and first ~= '-' and first ~= '-e' then
    return usage_error(('unknown option %s'):format(first))
  end
  return run_program(argv)
end

local function main(argv)
  C.npl_main(W, true)
  local ok, status = xpcall(dispatch, errors.catch, argv)
  if not ok then status = report(status) end
  native.own.stop(status)
end

--- Called by the executable: starts the main task; the loop is C's.
function cli.start(argv) task.go({ name = 'main' }, main, argv) end

return cli

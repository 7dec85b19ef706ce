--- What workers inside a host must not do: end the process, change its locale, read its standard
--- input, write to its streams behind its back, load C modules that its threads share. What they
--- print goes to the host, a whole line at a time. Loaded by each worker's state of a guest.
-- luacheck: ignore 122 (it is here to set fields of os, io and package)
local errors = require 'neap.errors'
local native = require 'neap.ffi'
local C, W = native.C, native.W
local concat, select, tostring, type = table.concat, select, tostring, type

local guest = {}

local function send(text)
  C.npl_print(W, text, #text)
end

local function line(...)
  local count = select('#', ...)
  if count == 1 then return send(tostring((...))) end
  local parts = { ... }
  for index = 1, count do parts[index] = tostring(parts[index]) end
  return send(concat(parts, '\t', 1, count))
end
guest.print = line

-- A stream that hands whole lines to the host; the rest waits for its end of line, or a flush.
local Stream = {}
Stream.__index = Stream
Stream.__tostring = function() return 'file (to the host)' end

local MAX_PENDING = 65536

local function write(self, ...)
  for index = 1, select('#', ...) do
    local part = select(index, ...)
    if type(part) ~= 'string' and type(part) ~= 'number' then
      errors.raise(errors.argument('write: expected a string or a number, got a ' .. type(part)))
    end
    self.pending = self.pending .. part
  end
  local last = self.pending:match '.*()\n'
  if last then
    send(self.pending:sub(1, last - 1))
    self.pending = self.pending:sub(last + 1)
  elseif #self.pending > MAX_PENDING then
    self:flush()
  end
  return self
end

function Stream:write(...) return write(self, ...) end
function Stream:flush()
  if self.pending ~= '' then send(self.pending) end
  self.pending = ''
  return true
end
function Stream:setvbuf() return self.pending ~= nil end
function Stream:close() return self:flush() end
function Stream:seek() return nil, self.pending and 'not a file' end

local function refuse(what, fix)
  return function()
    return errors.raise(errors.state(('%s in a worker of a guest: %s'):format(what, fix)))
  end
end

local function refuse_process_wide()
  os.exit = refuse('os.exit', 'it would end the host; fix: return, or raise an error')
  os.setlocale = refuse('os.setlocale', 'the locale is the host\'s; fix: set it there')
  os.execute = refuse('os.execute', 'it changes signals of the whole process; fix: run it there')
  io.popen = refuse('io.popen', 'its child would have all signals blocked; fix: run it in the host')
  package.loadlib = refuse('package.loadlib', 'its C code may belong to one thread of the host')
end

local function refuse_input()
  local read = refuse('reading standard input', "it is the host's; fix: read there, send it here")
  local open_lines = io.lines
  io.read, io.input = read, read
  local function describe() return "file (the host's)" end
  io.stdin = setmetatable({}, { __index = read, __tostring = describe })
  io.lines = function(name, ...)
    if name == nil then return read() end
    return open_lines(name, ...)
  end
end

local C_MODULE = "\n\tno C modules: a guest's workers load none, they may belong to one thread"

-- The last of the searchers: says why a C module that is there is not loaded.
local function find_c_module(name)
  local path = package.searchpath and package.searchpath(name, package.cpath)
  if not path then return C_MODULE end
  return error(("module '%s' is a C module (%s): a guest's workers load none, it may belong to one "
    .. 'thread of the host; fix: use it in the host, or run the program with the neap command')
    :format(name, path), 0)
end

local function install()
  print = line -- luacheck: globals print
  io.stdout = setmetatable({ pending = '' }, Stream)
  io.stderr = setmetatable({ pending = '' }, Stream)
  io.write = function(...) return write(io.stdout, ...) end
  io.output = function() return io.stdout end
  refuse_process_wide()
  refuse_input()
  table.insert(package.loaders, find_c_module)
end
install()

return guest

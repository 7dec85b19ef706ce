--- `print` as all states of the command have it: one write a line, so that lines of different
--- tasks and workers never mix. In a module, so that it travels by name like any built-in.
local ffi = require 'ffi'
local errors = require 'neap.errors'
local native = require 'neap.ffi'
local C, W = native.C, native.W
local select, tostring, concat = select, tostring, table.concat

local READER_GONE = 2

local function give_up(failed)
  if failed == READER_GONE then
    C.npl_broken_pipe(W)
    error(errors.canceled 'the reader has gone', 0)
  end
  errors.raise(errors.io('standard output', nil, 'the system refused', 'write to'))
end

local function line(...)
  local parts, count = { ... }, select('#', ...)
  for index = 1, count do parts[index] = tostring(parts[index]) end
  io.stdout:write(concat(parts, '\t', 1, count) .. '\n')
  local failed = C.npl_output_failed()
  if failed ~= 0 then return give_up(failed) end
end

print = line -- luacheck: globals print

-- On a terminal a progress line may stand where the next output goes: it makes way, whoever writes.
local function make_way_for_output()
  pcall(ffi.cdef, 'extern volatile int32_t npl_progress_shown; void npl_progress_erase(void);')
  local methods = getmetatable(io.stdout).__index
  local write = methods.write
  local function write_clear(file, ...)
    if ffi.C.npl_progress_shown ~= 0 and (file == io.stdout or file == io.stderr) then
      ffi.C.npl_progress_erase()
    end
    return write(file, ...)
  end
  methods.write = write_clear
  rawset(io, 'write', function(...) return write_clear(io.output(), ...) end)
end

pcall(ffi.cdef, 'int isatty(int fd);')
if ffi.C.isatty(2) == 1 then make_way_for_output() end

return { line = line }

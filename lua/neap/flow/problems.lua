--- Files that could not be read: kept for `job:stats().errors`; the command names them on stderr.
local ffi = require 'ffi'
local native = require 'neap.ffi'
local C = native.C

ffi.cdef 'char *strerror(int);'

local EFBIG = 27

local problems = {}

local function print_report(path, reason)
  io.stderr:write(('neap: io: cannot open %s: %s\n'):format(path, reason))
  require('neap.cli.status').failed = true
end

--- How reports are made unless somebody sets `flow.report_file_errors`: under the command on
--- stderr, in a host not at all.
function problems.default()
  if native.own and not native.own.guest then return print_report end
  return false
end

local function reason_of(code)
  if code == EFBIG then return 'a line is too long' end
  return ffi.string(C.strerror(code)):lower()
end

--- Moves the run's reports to `list`, each told once.
function problems.drain(run, list)
  local report = require('neap.flow').report_file_errors
  local code, offset = ffi.new 'int32_t[1]', ffi.new 'double[1]'
  while true do
    local text = C.npl_run_problem(run, code, offset)
    if text == nil then return list end
    local path = ffi.string(text)
    C.npl_text_free(text)
    local reason = reason_of(code[0])
    list[#list + 1] = { path = path, reason = reason, code = code[0], offset = offset[0] }
    if report then report(path, reason) end
  end
end

return problems

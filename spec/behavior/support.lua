--- What the behaviour specs share: a case runs in a bubble (placement one: everything on this
--- worker, virtual time) or with its peers on another worker (placement spread: real time).
local neap = require 'neap'
local helper = require 'spec_helper'

local support = {
  neap = os.getenv 'NEAP_COMMAND' or 'build/release/neap',
  spread = helper.placement == 'spread', own = helper.loop == 'own', quick = helper.quick,
  --- The unit of time that cases use: exact in a bubble, small but real otherwise.
  D = helper.placement == 'spread' and 0.02 or 1,
}

-- busted wants what luassert raised, and we want to see where.
local function rethrow(e)
  if type(e) == 'table' and e.kind == 'error' and e.value ~= nil then
    error(('%s\n%s'):format(tostring(e.value), e.traceback or ''), 0)
  end
  if type(e) == 'table' and e.report then error(e:report(), 0) end
  error(e, 0)
end

local function pass(ok, ...)
  if not ok then return rethrow((...)) end
  return ...
end

--- Runs a case that needs no virtual time, wherever it is started.
function support.real(fn, ...) return pass(pcall(neap.run, fn, ...)) end

--- Runs a case: a bubble, or real workers when its parties are spread.
function support.case(fn)
  if support.spread then return support.real(fn) end
  return pass(pcall(neap.test.bubble, fn))
end

--- Runs a case in a bubble whatever the placement is.
function support.bubble(fn, options) return pass(pcall(neap.test.bubble, fn, options)) end

--- Starts a peer: a task here, or on the other worker. What it needs travels as arguments or
--- upvalues; it says what it saw by its results.
function support.start(fn, ...)
  if support.spread then return neap.spawn({ worker = 1 }, fn, ...) end
  return neap.go(fn, ...)
end

local function give_way()
  for _ = 1, 20 do neap.yield() end
end

--- Returns when all peers that can park have parked.
function support.settle()
  if not support.spread then return neap.test.settle() end
  neap.spawn({ worker = 1 }, give_way):join()
  give_way()
end

--- Starts a peer and waits until it is parked.
function support.park(fn, ...)
  local peer = support.start(fn, ...)
  support.settle()
  return peer
end

--- Calls `fn`, which must raise an error of `kind`; returns it.
function support.raises(kind, fn, ...)
  local ok, e = pcall(fn, ...)
  if ok then error(('expected an error of kind %s, none was raised'):format(kind), 2) end
  if type(e) ~= 'table' or e.kind ~= kind then
    error(('expected an error of kind %s, got: %s'):format(kind, tostring(e)), 2)
  end
  return e
end

local function quoted(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

--- Runs a shell command line; returns what it wrote (stderr too) and its exit status.
function support.shell(line)
  local pipe = assert(io.popen(('( %s ) 2>&1; echo "status $?"'):format(line)))
  local text = pipe:read '*a'
  pipe:close()
  local out, status = text:match '^(.-)status (%d+)\n$'
  return out, tonumber(status)
end

--- Runs `code` with the neap command (or what `program` says), as -e CODE.
function support.command(code, program)
  return support.shell(('timeout -k 1 20 %s -e %s'):format(program or support.neap, quoted(code)))
end

--- Runs `code` under a stock luajit.
function support.stock(code)
  return support.command(code, "env LUA_PATH='./lua/?.lua;./lua/?/init.lua;;' luajit")
end

--- For the end of a conformance file: every id from PREFIX-01 to PREFIX-`last` must be a spec of
--- `file` (named "ID: ...") or be listed in `not_applicable` with its reason.
function support.covers(file, prefix, last, not_applicable)
  local text = assert(io.open(file)):read '*a'
  local missing = {}
  for number = 1, last do
    local id = ('%s-%02d'):format(prefix, number)
    local found = text:find("it('" .. id .. ':', 1, true) or text:find('it("' .. id .. ':', 1, true)
    if not found and not not_applicable[id] then missing[#missing + 1] = id end
    if found and not_applicable[id] then missing[#missing + 1] = id .. ' (listed, yet a spec)' end
  end
  if #missing > 0 then error('neither specs nor listed: ' .. table.concat(missing, ', '), 2) end
end

return support

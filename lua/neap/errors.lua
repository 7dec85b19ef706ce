--- Error objects: what every part of Neap raises, and what it makes of what user code raised.
--- An error is a table with `kind`, `message` and, where they apply, `traceback`, `cause`, `value`,
--- `task`, `stage`, `item`, `path`, `code`, `declared` (where the task or stage was made), `also`
--- (a list of further errors) and `where` (`file:line` of the user's code that was at fault).
--- `tostring(e)` is one line; `e:report()` says everything.
local errors = {}

local Error = {}
Error.__index = Error
errors.Error = Error -- The metatable; lua/neap/codec.lua lets it travel.

local getinfo = debug.getinfo
local MAX_FRAMES = 24

-- Our chunks share the folder of this one, on disk or embedded; generated ones are `=neap/...`.
local HOME = getinfo(1, 'S').source:match '^(.*neap[/.])errors' or '@neap/'

--- The one test for "is this frame ours?". Takes `debug.getinfo(...).source`.
--- @param source string
--- @return boolean
function errors.is_ours(source)
  return source:sub(1, #HOME) == HOME or source:sub(1, 6) == '=neap/'
end

-- Functions of LuaJIT itself, in C or not, have no line where they are defined.
local function is_users(info)
  return info.linedefined >= 0 and not errors.is_ours(info.source)
end

-- The first level with the user's code, seen from our caller; nil if there is none.
local function user_level()
  local level = 2
  while true do
    local info = getinfo(level, 'S')
    if info == nil then return nil end
    if is_users(info) then return level - 1 end
    level = level + 1
  end
end
errors.user_level = user_level

--- `file:line` of the user's code that called into Neap, or nil when none is on the stack.
function errors.caller()
  local level = user_level()
  if level == nil then return nil end
  local info = getinfo(level, 'Sl')
  return ('%s:%d'):format(info.short_src, info.currentline)
end

local function frame_line(info)
  local place = info.short_src
  if info.currentline > 0 then place = place .. ':' .. info.currentline end
  if info.what == 'main' then return place .. ': in main chunk' end
  if info.name then return ("%s: in function '%s'"):format(place, info.name) end
  return ('%s: in function <%s:%d>'):format(place, info.short_src, info.linedefined)
end

--- The user's part of the stack, innermost first: frames of Neap and of C functions are left out.
--- @param thread? thread another coroutine; the running one by default
--- @return string traceback lines without a heading; empty if the stack holds no user code
function errors.traceback(thread)
  local lines, level = {}, thread and 0 or 2
  while #lines < MAX_FRAMES do
    local info = thread and getinfo(thread, level, 'Sln') or not thread and getinfo(level, 'Sln')
    if not info then break end
    if is_users(info) then lines[#lines + 1] = frame_line(info) end
    level = level + 1
  end
  return table.concat(lines, '\n')
end

--- @param kind string one of the kinds in API.md
--- @param fields table message and the rest; becomes the error object
--- @return neap.Error
function errors.new(kind, fields)
  fields.kind = kind
  fields.message = fields.message or kind
  return setmetatable(fields, Error)
end

--- @param value any
--- @param kind? string asks for this kind only
--- @return boolean
function errors.is(value, kind)
  if type(value) ~= 'table' or getmetatable(value) ~= Error then return false end
  return kind == nil or value.kind == kind
end

--- Raises `e` with the place and traceback of the user's code, unless it brings its own.
--- `level` is there for symmetry with `error`; the place is found by leaving our own frames.
function errors.raise(e, level)
  if level ~= 0 and errors.is(e) then
    e.where = e.where or errors.caller()
    e.traceback = e.traceback or errors.traceback()
  end
  error(e, 0)
end

local function one_line(text)
  return (tostring(text):gsub('%s*[\r\n]+%s*', ' '))
end

-- What a value that is not an error object says about itself.
local function text_of(value)
  if type(value) == 'string' then return value end
  if type(value) ~= 'table' then
    return ('%s (a %s was raised)'):format(tostring(value), type(value))
  end
  local mt = debug.getmetatable(value)
  if mt and rawget(mt, '__tostring') then
    local ok, text = pcall(tostring, value)
    return ok and text or '(a table was raised, and its __tostring failed)'
  end
  local message = rawget(value, 'message')
  if type(message) == 'string' then return message end
  return '(a table was raised)'
end

local BOUNDARY = 'blocking call where nothing can yield (in require, or in a callback of '
  .. 'table.sort or string.gsub); collect first, or start it with neap.go'

--- Wraps what user code raised; an error object of ours comes back as it is.
--- @param value any stays unchanged in `e.value`
--- @param traceback? string of the failure
function errors.user(value, traceback)
  if errors.is(value) then return value end
  local kind = value == 'not enough memory' and 'memory' or 'error'
  if type(value) == 'string' and value:find('attempt to yield across C-call boundary', 1, true) then
    return errors.new('state', { message = BOUNDARY, value = value, traceback = traceback })
  end
  return errors.new(kind, { message = text_of(value), value = value, traceback = traceback })
end

--- A message handler for `xpcall` around user code: wraps, with the user's own traceback.
function errors.catch(value)
  if errors.is(value) then
    value.traceback = value.traceback or errors.traceback()
    return value
  end
  return errors.user(value, errors.traceback())
end

--- Misuse of an argument; the message begins with the caller's `file:line`.
--- @param message string without a place
function errors.argument(message)
  local where = errors.caller()
  if where then message = where .. ': ' .. message end
  return errors.new('argument', { message = message, where = where })
end

--- @param what? string for example 'send on closed channel jobs'
function errors.closed(what)
  return errors.new('closed', { message = what or 'closed' })
end

--- @param cause? any what `cancel` was given, unchanged
function errors.canceled(cause)
  local message = 'the context was canceled'
  if cause ~= nil then message = errors.is(cause) and cause.message or text_of(cause) end
  return errors.new('canceled', { message = message, cause = cause })
end

--- @param seconds? number how long it was allowed to take
--- @param what? string what ran out of time
function errors.deadline(seconds, what)
  local message = (what and what .. ' ' or '') .. 'timed out'
  if seconds then message = ('%s after %.14g s'):format(message, seconds) end
  return errors.new('deadline', { message = message })
end

--- @param path string for example job.options.logger
--- @param what string the rest of the sentence: 'is a file; fix: open it in the function'
function errors.unsendable(path, what)
  return errors.new('unsendable', { message = path .. ' ' .. what, path = path })
end

--- @param what string for example 'buffer'
--- @param where? string `file:line` of the send that moved it
function errors.moved(what, where)
  local message = what .. ' was moved by a send' .. (where and ' at ' .. where or '')
  return errors.new('moved', { message = message })
end

--- @param what string names the limit: 'queue of pool io is full (1024 tasks)'
function errors.limit(what)
  return errors.new('limit', { message = what })
end

--- @param what string misuse in time: 'unlock of a mutex that is not locked'
function errors.state(what)
  return errors.new('state', { message = what })
end

--- @param what? string what could not be allocated
function errors.memory(what)
  local message = 'not enough memory' .. (what and ' for a ' .. what or '')
  return errors.new('memory', { message = message })
end

--- @param path string the file; a reason is added: `cannot open x: no such file`
--- @param code? string for example ENOENT
--- @param reason? string in words
--- @param verb? string 'open' by default
function errors.io(path, code, reason, verb)
  local message = ('cannot %s %s: %s'):format(verb or 'open', path, reason or code or 'failed')
  return errors.new('io', { message = message, path = path, code = code })
end

function Error:__tostring()
  local line = ('%s: %s'):format(self.kind, one_line(self.message))
  local where = self.where
  if where and not line:find(where, 1, true) then line = ('%s (at %s)'):format(line, where) end
  return line
end

function Error.__concat(a, b)
  return tostring(a) .. tostring(b)
end

local function add(lines, format, ...)
  lines[#lines + 1] = format:format(...)
end

local function indent(text, by)
  return by .. tostring(text):gsub('\n', '\n' .. by)
end

local function describe_item(item)
  local text = type(item) == 'string' and ('%q'):format(item) or tostring(item)
  if type(item) == 'table' and not debug.getmetatable(item) then
    local parts = {}
    for key, value in pairs(item) do
      if #parts == 12 then parts[13] = '...' break end
      parts[#parts + 1] = ('%s=%s'):format(tostring(key), tostring(value))
    end
    text = '{' .. table.concat(parts, ', ') .. '}'
  end
  text = one_line(text)
  return #text > 200 and text:sub(1, 197) .. '...' or text
end

-- Depth is bounded: a cause may lead back to its own error.
local function report(self, lines, by, depth)
  add(lines, '%s%s', by, tostring(self))
  local place = {}
  if self.stage then place[#place + 1] = 'stage ' .. tostring(self.stage) end
  if self.task then place[#place + 1] = 'task ' .. tostring(self.task) end
  if #place > 0 then add(lines, '%s  in %s', by, table.concat(place, ', ')) end
  if self.item ~= nil then add(lines, '%s  on %s', by, describe_item(self.item)) end
  if self.declared then add(lines, '%s  declared at %s', by, tostring(self.declared)) end
  local traceback = self.traceback
  if traceback and traceback ~= '' then add(lines, '%s', indent(traceback, by .. '  at ')) end
  if depth == 0 then return end
  if errors.is(self.cause) then
    add(lines, '%scaused by', by)
    report(self.cause, lines, by .. '  ', depth - 1)
  elseif self.cause ~= nil then
    add(lines, '%scaused by %s', by, text_of(self.cause))
  end
  for _, other in ipairs(self.also or {}) do
    add(lines, '%salso', by)
    report(errors.user(other), lines, by .. '  ', depth - 1)
  end
end

--- Everything that is known, over several lines.
function Error:report()
  local lines = {}
  report(self, lines, '', 8)
  return table.concat(lines, '\n')
end

return errors

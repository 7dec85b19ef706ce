--- Argument checks that blame the caller's line. Each check is one comparison that compiles, then
--- returns the value; what fails goes to a slow path that works out from the stack which argument
--- of which public function was wrong, so that call sites pass only the parameter's own name.
local errors = require 'neap.errors'
local nearest = require 'neap.args.nearest'

local args = { nearest = nearest.find }

local floor, huge = math.floor, math.huge
local type, getmetatable = type, getmetatable
local MAX_COUNT = 2147483647
local MAX_INTEGER = 2 ^ 53
local TEXT_LIMIT = 40

-- 'got -1', 'got "abc" (a string)', 'got nil'.
local function got(value)
  local kind = type(value)
  if kind == 'nil' then return 'got nil' end
  if kind == 'number' then return ('got %.17g'):format(value) end
  if kind == 'string' then
    local text = #value > TEXT_LIMIT and value:sub(1, TEXT_LIMIT) .. '...' or value
    return ('got the string %q'):format(text)
  end
  if kind == 'boolean' then return 'got ' .. tostring(value) end
  return 'got a ' .. kind
end

-- The position of the parameter `name` of the function at `level`, and how the user called it.
local function find_parameter(level, name)
  local info = debug.getinfo(level, 'n')
  local position
  for index = 1, 60 do
    local parameter = debug.getlocal(level, index)
    if parameter == nil then break end
    if parameter == name then
      position = index
      break
    end
  end
  local first = debug.getlocal(level, 1)
  if position and first == 'self' then position = position - 1 end
  return position, info.name
end

-- "bad argument #1 'capacity' to 'channel': expected ..., got ...".
local function fail(value, name, expected, hint)
  -- The public function is our last frame before the user's.
  local level = errors.user_level()
  local position, called
  if level then position, called = find_parameter(level, name) end
  local message = ("bad argument %s'%s'%s: expected %s, %s"):format(
    position and ('#%d '):format(position) or '', name,
    called and (" to '%s'"):format(called) or '', expected, got(value))
  if hint then message = message .. '; fix: ' .. hint end
  return errors.raise(errors.argument(message))
end
args.fail = fail

local function expected_range(what, lo, hi)
  if hi == nil or hi == huge then
    if lo == nil or lo == -huge then return what end
    return ('%s, %.17g or more'):format(what, lo)
  end
  if lo == nil or lo == -huge then return ('%s, %.17g or less'):format(what, hi) end
  return ('%s from %.17g to %.17g'):format(what, lo, hi)
end

--- @param lo? integer least value, -2^53 by default
--- @param hi? integer greatest value, 2^53 by default
--- @return integer value
function args.integer(value, name, lo, hi)
  if type(value) == 'number' and value >= (lo or -MAX_INTEGER) and value <= (hi or MAX_INTEGER)
    and floor(value) == value then
    return value
  end
  return fail(value, name, expected_range('an integer', lo, hi))
end

--- An optional number of things, 1 or more; `default` (1) when nil.
function args.count(value, name, default)
  if value == nil then return default or 1 end
  return args.integer(value, name, 1, MAX_COUNT)
end

--- A required number of things, 1 or more.
function args.positive(value, name)
  return args.integer(value, name, 1, MAX_COUNT)
end

--- A required size or capacity, 0 or more.
function args.size(value, name)
  return args.integer(value, name, 0, MAX_COUNT)
end

--- Any number but NaN, optionally within bounds.
function args.number(value, name, lo, hi)
  if type(value) == 'number' and value >= (lo or -huge) and value <= (hi or huge) then
    return value
  end
  return fail(value, name, expected_range('a number', lo, hi))
end

--- A duration: seconds, 0 or more, fractions and math.huge allowed.
function args.seconds(value, name)
  if type(value) == 'number' and value >= 0 then return value end
  return fail(value, name, 'seconds, 0 or more')
end

--- The same, or nil for "no limit". `dst:send(src:recv())` hands over recv's second result.
function args.timeout(value, name)
  if value == nil or type(value) == 'number' and value >= 0 then return value end
  local hint = type(value) == 'boolean'
    and 'a call passed on all its results; take the first with `(src:recv())`' or nil
  return fail(value, name or 'timeout', 'seconds, 0 or more, or nil', hint)
end

-- A check of one type, and its twin that lets nil through.
local function of_type(wanted, expected)
  return function(value, name)
    if type(value) == wanted then return value end
    return fail(value, name, expected)
  end, function(value, name)
    if value == nil or type(value) == wanted then return value end
    return fail(value, name, expected .. ' or nil')
  end
end

args.func, args.optional_func = of_type('function', 'a function')
args.string, args.optional_string = of_type('string', 'a string')
args.table, args.optional_table = of_type('table', 'a table')
args.boolean, args.optional_boolean = of_type('boolean', 'true or false')

--- A function, or a table with `__call`.
function args.callable(value, name)
  if type(value) == 'function' then return value end
  local mt = type(value) == 'table' and debug.getmetatable(value)
  if mt and rawget(mt, '__call') then return value end
  return fail(value, name, 'a function')
end

--- One of a few words: `args.one_of(overflow, 'overflow', { 'block', 'error' })`.
function args.one_of(value, name, words)
  for index = 1, #words do
    if words[index] == value then return value end
  end
  local near = type(value) == 'string' and nearest.find(value, words)
  local expected = '"' .. table.concat(words, '", "') .. '"'
  return fail(value, name, expected, near and ('"%s"'):format(near))
end

-- The message of a check that failed inside an options table names the option, not an argument.
local function fail_option(e, name, where)
  local expected = e.message:match ': (expected .*)$' or e.message
  local message = ("bad option '%s' to '%s': %s"):format(name, where, expected)
  return errors.raise(errors.argument(message))
end

local NONE = setmetatable({}, {
  __newindex = function() error 'the shared empty options table must not be written' end,
})

--- Checks an options table; an unknown option names the nearest right one.
--- @param options table|nil
--- @param allowed table option name -> a check such as `args.string`, or true for any value
--- @param where string what the user called, for messages: 'run'
--- @return table options never nil; do not write to it
function args.options(options, allowed, where)
  if options == nil then return NONE end
  if type(options) ~= 'table' then
    return fail(options, 'options', 'a table of options or nil')
  end
  for name, value in next, options do
    local check = allowed[name]
    if check == nil then
      local hint = nearest.hint(tostring(name), nearest.keys(allowed))
      errors.raise(errors.argument(("%s has no option '%s'%s"):format(where, tostring(name), hint)))
    elseif check ~= true then
      local ok, e = pcall(check, value, name)
      if not ok then return fail_option(errors.user(e), name, where) end
    end
  end
  return options
end

--- Makes a table of methods raise when it lacks a name: "a channel has no method `recieve`;
--- nearest: `receive`". Use as `Channel.__index = args.strict(Channel, 'a channel')`: a hit stays a
--- plain table look-up. Fields of an object that may be absent must therefore be `false`, not nil.
--- @param methods table
--- @param what string with its article: 'a channel'; for a module its name: 'neap'
--- @param noun? string 'method' by default; '' for a module
function args.strict(methods, what, noun)
  noun = noun == nil and 'method ' or noun == '' and '' or noun .. ' '
  return setmetatable(methods, {
    __index = function(_, name)
      -- Metamethods and list indexes are probed for by libraries: absent is an answer.
      if type(name) ~= 'string' or name:sub(1, 2) == '__' then return nil end
      local hint = nearest.hint(name, nearest.keys(methods), '`')
      errors.raise(errors.argument(('%s has no %s`%s`%s'):format(what, noun, name, hint)))
    end,
  })
end

--- For the top of a method: catches `ch.send(v)`, where `ch:send(v)` was meant.
--- @param self any
--- @param class table the metatable that `self` must have
--- @param example string how to call it: 'ch:send(v)'
function args.method(self, class, example)
  if type(self) == 'table' and getmetatable(self) == class then return self end
  local name = example:match '[:.]([%w_]+)' or example
  return errors.raise(errors.argument(
    ('%s was called with `.`, or on something else; fix: `%s`'):format(name, example)))
end

return args

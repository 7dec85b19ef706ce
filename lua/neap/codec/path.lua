--- Where in a value something lies, in the words of the user: `job.options.logger`,
--- `upvalue 'log.out' of function at etl.lua:9`. Built only when something cannot travel.
local errors = require 'neap.errors'

local path = {}

local MAX_LENGTH = 120 -- Of the keys in a row.

-- The name of the user's variable that holds `value` where Neap was called, if there is one.
local function variable_of(value)
  local level = errors.user_level()
  if level == nil then return nil end
  local found
  for index = 1, 250 do
    local name, held = debug.getlocal(level, index)
    if name == nil then break end
    if rawequal(held, value) and name:match '^[%a_]' then found = name end
  end
  if found then return found end
  local fn = debug.getinfo(level, 'f').func
  for index = 1, 60 do
    local name, held = debug.getupvalue(fn, index)
    if name == nil then return nil end
    if name ~= '' and rawequal(held, value) then return name end
  end
end

--- 'function at etl.lua:9'
function path.of_function(fn)
  local info = debug.getinfo(fn, 'S')
  if info.what == 'C' then return 'C function' end
  return ('function at %s:%d'):format(info.short_src, info.linedefined)
end

local function step(key)
  if type(key) == 'string' then
    if key:match '^[%a_][%w_]*$' then return '.' .. key end
    return ('[%q]'):format(key)
  end
  return ('[%s]'):format(tostring(key))
end

local function shorten(text)
  if #text <= MAX_LENGTH then return text end
  return text:sub(1, MAX_LENGTH / 2) .. '...' .. text:sub(-MAX_LENGTH / 2)
end

-- The names of keys from `index` on, up to the next function, behind `name`.
local function keys_from(index, count, steps, name)
  while index <= count and type(steps[index]) ~= 'function' do
    name = name .. step(steps[index])
    index = index + 1
  end
  return shorten(name), index
end

--- @param root any the value that was to be sent
--- @param fallback string its name when no variable holds it
--- @param steps any[] keys from the root on; a function is followed by the name of its upvalue
--- @param count integer
function path.render(root, fallback, steps, count)
  local start = type(root) == 'function' and path.of_function(root) or variable_of(root) or fallback
  local text, index = keys_from(1, count, steps, start)
  while index <= count do
    local whole = path.of_function(steps[index])
    if whole ~= text then whole = ('%s (%s)'):format(whole, text) end
    local name = steps[index + 1]
    name, index = keys_from(index + 2, count, steps, name == '' and '?' or name)
    text = ("upvalue '%s' of %s"):format(name, whole)
  end
  return text
end

return path

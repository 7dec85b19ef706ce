--- Values that travel by name: functions and userdata of the standard library and of `require`d
--- modules ("string.format", "io.stdout"), and the modules themselves.
local errors = require 'neap.errors'

local names = {}

local loaded = package.loaded
local SEPARATOR = '\0' -- Module names have dots in them.

-- Filled first, so that `string.format` is not called by the name of a module that re-exports it.
local STANDARD = {
  'string', 'table', 'math', 'io', 'os', 'coroutine', 'debug', 'package', 'bit', 'jit', '_G',
}
local is_standard = {}
for _, name in ipairs(STANDARD) do is_standard[name] = true end

-- value -> { module =, key =, text = }; weak, since modules may be unloaded.
local by_value = setmetatable({}, { __mode = 'k' })
local known_modules = -1

local function count_modules()
  local count = 0
  for _ in next, loaded do count = count + 1 end
  return count
end

-- What scripts add to a library's table is not in other states; such functions travel by value.
local function is_added(module_name, value)
  if not is_standard[module_name] or type(value) ~= 'function' then return false end
  return debug.getinfo(value, 'S').linedefined >= 0 -- LuaJIT's own have no such line.
end

local function add(value, module_name, key)
  if by_value[value] then return end
  local text = key and module_name .. SEPARATOR .. key or module_name
  by_value[value] = { module = module_name, key = key, text = text }
end

local function add_module(name)
  local module = loaded[name]
  local kind = type(module)
  if kind ~= 'table' and kind ~= 'function' then return end
  add(module, name)
  if kind ~= 'table' then return end
  for key, value in next, module do
    kind = type(value)
    if type(key) == 'string' and (kind == 'function' or kind == 'userdata')
      and not is_added(name, value) then
      add(value, name, key)
    end
  end
end

local function rebuild()
  for value in next, by_value do by_value[value] = nil end
  for _, name in ipairs(STANDARD) do add_module(name) end
  local others = {}
  for name in next, loaded do
    if type(name) == 'string' and not is_standard[name] then others[#others + 1] = name end
  end
  table.sort(others)
  for _, name in ipairs(others) do add_module(name) end
  known_modules = count_modules()
end

--- Once before the look-ups of a message: takes note of modules loaded since.
function names.refresh()
  if count_modules() ~= known_modules then rebuild() end
end

--- @return string|nil text for the wire, when a loaded module still holds the value
function names.of(value)
  local entry = by_value[value]
  if entry == nil then return nil end
  local held = loaded[entry.module]
  if entry.key and type(held) == 'table' then held = rawget(held, entry.key) end
  if held == value then return entry.text end
  by_value[value] = nil -- The module replaced it.
  return nil
end

--- The same after a look through all modules again: for what cannot travel otherwise.
function names.of_again(value)
  rebuild()
  return names.of(value)
end

local parts = {} -- text -> { module, key }

local function split(text)
  local module, key = text:match '^(.-)%z(.*)$'
  local entry = { module or text, key }
  parts[text] = entry
  return entry
end

local function load_module(name, place)
  local module = loaded[name]
  if module ~= nil then return module end
  local ok, result = pcall(require, name)
  if ok then return result end
  local reason = tostring(errors.is(result) and result.message or result):match '[^\n]*'
  return errors.raise(errors.unsendable(name, ('is a module that %s cannot load: %s'):format(
    place, reason)))
end

-- A module may fill itself in when it is first asked, as `neap` does; a strict one raises.
local function member(module, key) return module[key] end

--- @param place string this state, for messages: 'worker 2'
function names.resolve(text, place)
  local entry = parts[text] or split(text)
  local module, key = load_module(entry[1], place), entry[2]
  if key == nil then return module end
  local ok, value = pcall(member, module, key)
  if ok and value ~= nil then return value end
  local path = entry[1] .. '.' .. key
  return errors.raise(errors.unsendable(path, ('is not in the module `%s` of %s'):format(
    entry[1], place)))
end

return names

--- The way in: puts the special parts back into a message that lua/neap/codec/walk.lua took apart.
local classes = require 'neap.codec.classes'
local errors = require 'neap.errors'
local leaf = require 'neap.codec.leaf'
local names = require 'neap.codec.names'
local prototype = require 'neap.codec.prototype'

local FUNCTION, HANDLE, OBJECT = leaf.FUNCTION, leaf.HANDLE, leaf.OBJECT
local setupvalue, upvaluejoin = debug.setupvalue, debug.upvaluejoin

local arrive = {}

-- Every handle first: from here on the objects own their references, whatever fails later.
local function take_handles(handles)
  local objects = {}
  for index = 1, #handles do
    local handle = handles[index]
    objects[index] = classes.kinds[handle.kind].arrive(handle.pointer)
  end
  return objects
end

-- Closures with their upvalues joined but still nil; cells remember one owner each.
local function make_functions(functions, owners, slots)
  local made = {}
  for index = 1, #functions do
    local entry = functions[index]
    local fn = prototype.closure(entry[1])
    for upvalue = 1, #entry - 1 do
      local cell = entry[upvalue + 1]
      if owners[cell] then
        upvaluejoin(fn, upvalue, owners[cell], slots[cell])
      else
        owners[cell], slots[cell] = fn, upvalue
      end
    end
    made[index] = fn
  end
  return made
end

local put_back

local function object_at(m, index)
  local object = m.made_objects[index]
  if object ~= nil then return object end
  local name = m.classes[index]
  local class = classes.by_name[name]
  if class == nil then
    local what = ('is not registered in %s; fix: call neap.codec.register in a module that both '
      .. 'sides `require`'):format(prototype.get_place())
    return errors.raise(errors.unsendable(('class `%s`'):format(name), what))
  end
  local list = m.objects
  object = class.decode(put_back(m, list.values[index], list.fixes[index]))
  m.made_objects[index] = object
  return object
end

local function special(m, fix)
  if type(fix) == 'string' then return names.resolve(fix, prototype.get_place()) end
  local what = fix % 4
  local index = (fix - what) / 4
  if what == FUNCTION then return m.functions[index] end
  if what == HANDLE then return m.handles[index] end
  if what == OBJECT then return object_at(m, index) end
  return m.nodes.values[index]
end

put_back = function(m, value, fix)
  if fix == nil then return value end
  if type(fix) ~= 'table' then return special(m, fix) end
  for key, inner in next, fix do value[key] = put_back(m, value[key], inner) end
  return value
end

--- @param m table { roots, cells, nodes, objects: lists; functions, classes }, as read
--- @param handles table|nil
--- @return table values of the message, `count` of them
function arrive.all(m, handles)
  m.handles = handles and take_handles(handles)
  local owners, slots = {}, {}
  m.functions = make_functions(m.functions, owners, slots)
  m.made_objects = {}
  local nodes, cells, roots = m.nodes, m.cells, m.roots
  for index = 1, nodes.count do put_back(m, nodes.values[index], nodes.fixes[index]) end
  for cell = 1, cells.count do
    local value = put_back(m, cells.values[cell], cells.fixes[cell])
    -- Cells of functions that a lenient class dropped have no owner.
    if owners[cell] then setupvalue(owners[cell], slots[cell], value) end
  end
  for index = 1, roots.count do
    roots.values[index] = put_back(m, roots.values[index], roots.fixes[index])
  end
  return roots.values
end

return arrive

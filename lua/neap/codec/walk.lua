--- The way out: takes a value apart that string.buffer alone cannot carry. The value becomes a
--- plain tree, in which `false` stands wherever something special was, and a tree of *fixes* of the
--- same shape, whose leaves say what belongs there: a string is a name, a number is
--- 4 * index + what (see lua/neap/codec/leaf.lua) into the lists of the message.
local classes = require 'neap.codec.classes'
local draft = require 'neap.codec.draft'
local errors = require 'neap.errors'
local leaf = require 'neap.codec.leaf'
local names = require 'neap.codec.names'
local path = require 'neap.codec.path'
local plain = require 'neap.codec.plain'
local prototype = require 'neap.codec.prototype'

local FUNCTION, HANDLE, OBJECT, NODE = leaf.FUNCTION, leaf.HANDLE, leaf.OBJECT, leaf.NODE
local MAX_DEPTH = plain.MAX_DEPTH
local MAX_LENIENT_DEPTH = 10 -- Of what is taken apart to save its sendable parts.
local is_plain, is_key, is_constant = plain.is_plain, plain.is_key, plain.is_constant
local push, pop, open, close = draft.push, draft.pop, draft.open, draft.close
local getmetatable, getupvalue, upvalueid = debug.getmetatable, debug.getupvalue, debug.upvalueid

local walk = {}

local function refuse(s, what)
  local where = path.render(s.root, s.root_name, s.steps, s.depth_of_path)
  return errors.raise(errors.unsendable(where, what))
end

local function refuse_other(s, value, kind)
  if kind == 'thread' then
    return refuse(s, 'is a coroutine; fix: send the function and make the coroutine there')
  end
  if kind == 'userdata' then
    if io.type(value) then
      return refuse(s, 'is a file; fix: open it in the function that uses it')
    end
    return refuse(s, 'is a userdata; fix: make it in the function that uses it')
  end
  local ctype = tostring(require 'ffi'.typeof(value)):match '^ctype<(.*)>$'
  return refuse(s, ('is a cdata (%s); fix: send its fields, a string or a neap.buffer'):format(
    ctype))
end

local visit

local function visit_cell(s, fn, name, id, value)
  local cells = s.cells
  local cell = cells.count + 1
  cells.count = cell
  s.cell_of[id] = cell
  push(s, fn)
  push(s, name)
  local module = type(value) == 'table' and names.of(value)
  if module then
    cells.values[cell], cells.fixes[cell] = false, module
  else
    cells.values[cell], cells.fixes[cell] = visit(s, value, 1)
  end
  pop(s, 2)
  return cell
end

local function refuse_c_function(s)
  return refuse(s, 'is a C function that no loaded module holds by name; '
    .. 'fix: `require` its module in the function that calls it')
end

local function visit_function(s, fn)
  if s.seen[fn] then return false, s.seen[fn] end
  local name = names.of(fn)
  if name then return false, name end
  local ok, code = pcall(prototype.dump, fn)
  if not ok then
    name = names.of_again(fn)
    if name then return false, name end
    return refuse_c_function(s)
  end
  local fault = prototype.environment_fault(fn)
  if fault then return refuse(s, fault .. '; fix: make it a local before the function') end

  local index = #s.functions + 1
  local entry = { code }
  s.functions[index] = entry
  s.seen[fn] = 4 * index + FUNCTION -- Before its upvalues: recursion leads back here.
  s.within = s.within + 1
  local upvalue = 1
  while true do
    local upvalue_name, value = getupvalue(fn, upvalue)
    if upvalue_name == nil then break end
    local id = upvalueid(fn, upvalue)
    entry[upvalue + 1] = s.cell_of[id] or visit_cell(s, fn, upvalue_name, id, value)
    upvalue = upvalue + 1
  end
  s.within = s.within - 1
  return false, s.seen[fn]
end

local function visit_handle(s, object, travel)
  local ok, kind, pointer = pcall(travel, object)
  if not ok then
    if errors.is(kind) and kind.path == nil then
      kind.path = path.render(s.root, s.root_name, s.steps, s.depth_of_path)
    end
    return error(kind, 0)
  end
  local index = #s.handles + 1
  s.handles[index] = { kind = kind, pointer = pointer }
  s.seen[object] = 4 * index + HANDLE
  return false, s.seen[object]
end

local visit_fields

-- Walks a value; of one that cannot travel, the parts that cannot become their text.
local function attempt(s, value, depth)
  local before = draft.mark(s)
  local ok, tree, fix = pcall(visit, s, value, depth)
  if ok then return tree, fix end
  draft.roll_back(s, before)
  if type(value) == 'table' and getmetatable(value) == nil and not s.open[value]
    and depth < MAX_LENIENT_DEPTH then
    open(s, value)
    tree, fix = visit_fields(s, value, depth, attempt)
    close(s, value)
    return tree, fix
  end
  local spoke, text = pcall(tostring, value)
  return spoke and text or type(value), nil
end

visit_fields = function(s, t, depth, visit_value)
  local copy, fixes = {}, nil
  for key, value in next, t do
    if not is_key(key) then
      return refuse(s, ('has a key that is a %s; keys that travel are strings, numbers, booleans '
        .. 'and neap.null'):format(type(key)))
    end
    push(s, key)
    local tree, fix = visit_value(s, value, depth + 1)
    pop(s, 1)
    copy[key] = tree
    if fix ~= nil then
      fixes = fixes or {}
      fixes[key] = fix
    end
  end
  return copy, fixes
end

local function visit_object(s, object, class, depth)
  local objects = s.objects
  local index = objects.count + 1
  objects.count = index
  open(s, object)
  s.seen[object] = 4 * index + OBJECT
  s.classes[index] = class.name
  local content = class.encode(object)
  if class.lenient then
    objects.values[index], objects.fixes[index] = visit_fields(s, content, depth, attempt)
  else
    objects.values[index], objects.fixes[index] = visit(s, content, depth)
  end
  close(s, object)
  return false, s.seen[object]
end

local function visit_with_metatable(s, t, mt, depth)
  if s.open[t] then return refuse(s, 'leads back to the object that it is part of (a cycle)') end
  if s.seen[t] then return false, s.seen[t] end
  local name = names.of(t)
  if name then return false, name end
  if type(mt) == 'table' then
    local travel = rawget(mt, '__travel')
    if travel then return visit_handle(s, t, travel) end
    local class = classes.by_metatable[mt]
    if class then return visit_object(s, t, class, depth) end
  end
  return refuse(s, 'has a metatable; register it with neap.codec.register')
end

local function node_leaf(s, t)
  local index = s.node_of[t]
  if index == nil then
    index = s.nodes.count + 1
    s.nodes.count = index
    s.node_of[t] = index
  end
  return 4 * index + NODE
end

local function visit_table(s, t, depth)
  local mt = getmetatable(t)
  if mt ~= nil then return visit_with_metatable(s, t, mt, depth) end
  local opened_within = s.open[t]
  if opened_within then
    -- A method whose upvalue is its own object is no cycle of data.
    if opened_within < s.within then return false, node_leaf(s, t) end
    return refuse(s, 'leads back to a table that it is part of (a cycle); fix: send a key or an id')
  end
  if depth > MAX_DEPTH then
    return refuse(s, ('is nested more than %d tables deep'):format(MAX_DEPTH))
  end
  if is_plain(t, depth) then return t, nil end
  local name = names.of(t)
  if name then return false, name end

  open(s, t)
  local copy, fixes = visit_fields(s, t, depth, visit)
  close(s, t)
  local index = s.node_of[t]
  if index == nil then return copy, fixes end
  s.nodes.values[index], s.nodes.fixes[index] = copy, fixes
  return false, 4 * index + NODE
end

--- @return any tree, any fix
visit = function(s, value, depth)
  local kind = type(value)
  if kind == 'table' then return visit_table(s, value, depth) end
  if kind == 'string' or kind == 'number' or kind == 'boolean' or kind == 'nil' then
    return value, nil
  end
  if kind == 'function' then return visit_function(s, value) end
  if is_constant(value, kind) then return value, nil end
  local name = kind == 'userdata' and names.of(value)
  if name then return false, name end
  return refuse_other(s, value, kind)
end

--- Adds a value of the message itself.
--- @param name string what to call it in messages when no variable of the user's holds it
function walk.root(s, value, name)
  local roots = s.roots
  local index = roots.count + 1
  roots.count = index
  s.root, s.root_name, s.depth_of_path = value, name, 0
  roots.values[index], roots.fixes[index] = visit(s, value, 1)
end

return walk

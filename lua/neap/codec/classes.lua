--- What may travel although it has a metatable: handles (references to C objects, by `__travel`)
--- and classes that users registered.
local args = require 'neap.args'
local errors = require 'neap.errors'

local classes = { by_metatable = {}, by_name = {}, kinds = {} }

local function copy_of(object)
  local copy = {}
  for key, value in next, object do copy[key] = value end
  return copy
end

local OPTIONS = {
  name = args.string, encode = args.callable, decode = args.callable, lenient = args.boolean,
}

--- Lets objects of a class travel. Every state that receives one must register it, too: do so in
--- the module that defines the class. Registering again replaces.
--- @param metatable table
--- @param spec table `name` (the same everywhere); `encode(object)` -> a value that can travel,
---   by default a copy of the fields; `decode(value)` -> the object, by default `setmetatable` of
---   it; `lenient`: a field that cannot travel goes as its `tostring` instead of raising
function classes.register(metatable, spec)
  args.table(metatable, 'metatable')
  args.table(spec, 'spec')
  args.options(spec, OPTIONS, 'register')
  args.string(spec.name, 'name')
  local class = {
    name = spec.name,
    lenient = spec.lenient,
    encode = spec.encode or copy_of,
    decode = spec.decode or function(value) return setmetatable(value, metatable) end,
  }
  classes.by_metatable[metatable] = class
  classes.by_name[spec.name] = class
end

--- @param kind integer what `__travel` returns first
--- @param spec table `arrive(pointer)` -> the object, which owns the reference from then on;
---   `abandon(pointer)` gives up a reference whose message was never made
function classes.register_kind(kind, spec)
  args.integer(kind, 'kind')
  args.func(spec.arrive, 'arrive')
  args.func(spec.abandon, 'abandon')
  classes.kinds[kind] = spec
end

--- Gives up the references of `handles` from index `first` on.
function classes.abandon(handles, first)
  for index = #handles, first, -1 do
    local handle = handles[index]
    handles[index] = nil
    classes.kinds[handle.kind].abandon(handle.pointer)
  end
end

-- Errors travel: `value`, `item` and the rest by value if they can, else as text.
classes.register(errors.Error, { name = 'neap.error', lenient = true })

return classes

--- flat_map(f): any number of items for one. f(x, emit) calls emit for each (the fast form); f(x)
--- gives an array, an iterator (all three values), or nil for none.
local args = require 'neap.args'
local fault = require 'neap.flow.fault'
local options = require 'neap.flow.options'

local function declare(fn, given)
  args.callable(fn, 'fn')
  local stage = options.stage(given, nil, 'flat_map', { fn = fn })
  local info = type(fn) == 'function' and debug.getinfo(fn, 'u')
  stage.emits = info and info.nparams == 2 and not info.isvararg or false
  return stage
end

local function spread(emit, what, s, c)
  if what == nil then return end
  if type(what) == 'function' then
    for v in what, s, c do emit(v) end
    return
  end
  if type(what) ~= 'table' then
    fault.raise(('flat_map: expected an array, an iterator or nil, got a %s'):format(type(what)))
  end
  local count = #what
  if count == 0 and next(what) ~= nil then
    fault.raise 'flat_map: expected an array, got a table without items 1..n'
  end
  for index = 1, count do emit(what[index]) end
end

return {
  name = 'flat_map', kind = 9, declare = declare, flat = true, helpers = { spread = spread },
  body = function(item) return item.emits and 'F$(x, emit)' or 'spread(emit, F$(x))' end,
}

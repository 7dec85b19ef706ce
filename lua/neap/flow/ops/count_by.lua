--- count_by(key): {key, count} for each key; their order is open. Over the words and lines of a
--- text the counting is native and makes no Lua string.
local args = require 'neap.args'
local fault = require 'neap.flow.fault'
local options = require 'neap.flow.options'

local function declare(key, given)
  if type(key) == 'table' then key, given = nil, key end
  args.optional_func(key, 'key')
  return (options.stage(given, nil, 'count_by', {}))
end

local function replace(previous, key, given)
  if type(key) ~= 'function' then return nil end
  return previous:map(key, { name = 'count_by' }):count_by(given)
end

local function bad_key(x)
  fault.raise(('count_by: keys are strings, numbers and booleans, got a %s; '
    .. 'fix: count_by(function(x) ... end)'):format(type(x)))
end

local CHECK = "local t = type(x) if t ~= 'string' and t ~= 'number' and t ~= 'boolean' "
  .. "and t ~= 'userdata' then bad_key(x) end "

local function finish(state, k, _, emit)
  for key, count in next, state['counts' .. k] do emit { key, count } end
end

return {
  name = 'count_by', kind = 16, declare = declare, replace = replace, reduces = true,
  helpers = { bad_key = bad_key },
  begin = function(state, k) state['counts' .. k] = {} end,
  enter = 'local counts$ = S.counts$',
  body = function(item)
    if item.mode == 2 then return 'local k = x[1] counts$[k] = (counts$[k] or 0) + x[2]' end
    return CHECK .. 'counts$[x] = (counts$[x] or 0) + 1'
  end,
  finish = finish,
}

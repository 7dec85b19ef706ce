--- sum(): of numbers. What rounding loses is kept apart (Neumaier), so that the result does not
--- depend on how the items are split.
local args = require 'neap.args'
local fault = require 'neap.flow.fault'
local options = require 'neap.flow.options'

local function declare(fn, given)
  if type(fn) == 'table' then fn, given = nil, fn end
  args.optional_func(fn, 'fn')
  return (options.stage(given, nil, 'sum', {}))
end

local function replace(previous, fn, given)
  if type(fn) ~= 'function' then return nil end
  return previous:map(fn):sum(given)
end

local function not_number(x)
  fault.raise(('sum: expected a number, got a %s'):format(type(x)))
end

local ADD = 'local t = s$ + v if abs(s$) >= abs(v) then c$ = c$ + ((s$ - t) + v) '
  .. 'else c$ = c$ + ((v - t) + s$) end s$ = t'

local function finish(state, k, item, emit)
  local s, c = state['s' .. k], state['c' .. k]
  if item.mode == 1 then return emit { s, c } end
  local total = s + c
  -- Infinities have no rest.
  if total ~= total then total = s end
  return emit(total)
end

return {
  name = 'sum', kind = 14, declare = declare, replace = replace, reduces = true, single = true,
  helpers = { not_number = not_number, abs = math.abs },
  begin = function(state, k) state['s' .. k], state['c' .. k] = 0, 0 end,
  enter = 'local s$, c$ = S.s$, S.c$',
  body = function(item)
    if item.mode == 2 then return 'local v = x[1] c$ = c$ + x[2] ' .. ADD end
    return "local v = x if type(v) ~= 'number' then not_number(v) end " .. ADD
  end,
  leave = 'S.s$, S.c$ = s$, c$',
  finish = finish,
}

--- range(first, last, step): `first + i * step`, the last one included, like Lua's `for`.
local args = require 'neap.args'
local options = require 'neap.flow.options'

local function count_of(first, last, step)
  return math.max(0, math.floor((last - first) / step) + 1)
end

local function declare(first, last, step, given)
  if type(step) == 'table' then step, given = nil, step end
  args.number(first, 'first', -2 ^ 53, 2 ^ 53)
  args.number(last, 'last', -math.huge, math.huge)
  if step == nil then step = 1 end
  args.number(step, 'step', -2 ^ 53, 2 ^ 53)
  if step == 0 then args.fail(step, 'step', 'a number other than 0') end
  local stage = options.stage(given, nil, 'range', {})
  stage.numbers = { first, step, math.min(count_of(first, last, step), 2 ^ 53) }
  return stage
end

return { name = 'range', kind = 1, declare = declare }

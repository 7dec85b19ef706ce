--- map(f): one item for one. `pure`: f may be called once for items that are equal.
local args = require 'neap.args'
local options = require 'neap.flow.options'

local function declare(fn, given)
  args.callable(fn, 'fn')
  local stage, checked = options.stage(given, { pure = args.boolean }, 'map', { fn = fn })
  stage.pure = checked.pure
  stage.flags = checked.pure and options.PURE or 0
  return stage
end

return {
  name = 'map', kind = 7, declare = declare,
  body = 'x = F$(x) if x == nil then nil_result() end',
}

--- filter(f): keeps the items for which f is true. `pure`: see map.
local args = require 'neap.args'
local options = require 'neap.flow.options'

local function declare(fn, given)
  args.callable(fn, 'fn')
  local stage, checked = options.stage(given, { pure = args.boolean }, 'filter', { fn = fn })
  stage.pure = checked.pure
  stage.flags = checked.pure and options.PURE or 0
  return stage
end

return {
  name = 'filter', kind = 8, declare = declare, keeps = true,
  body = 'if not F$(x) then goto continue end',
}

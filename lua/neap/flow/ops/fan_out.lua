--- fan_out(n, { ordered, window }): what follows runs in n tasks on the workers.
local args = require 'neap.args'
local options = require 'neap.flow.options'

local function declare(n, given)
  if type(n) == 'table' then n, given = nil, n end
  if n ~= nil then args.integer(n, 'n', 1, 4096) end
  local allowed = {
    ordered = args.boolean,
    window = function(v, name) return args.integer(v, name, 1, 2 ^ 20) end,
  }
  local stage, checked = options.stage(given, allowed, 'fan_out', {})
  stage.flags = checked.ordered and options.ORDERED or 0
  stage.numbers = { n or 0, checked.window or 0, 0 }
  return stage
end

return { name = 'fan_out', kind = 11, declare = declare }

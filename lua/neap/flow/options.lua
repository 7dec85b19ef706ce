--- Options that every stage has, and the checks that operators share.
local args = require 'neap.args'

local options = {}

--- @param given table|nil
--- @param allowed table|nil option -> check, beside `name`
function options.check(given, allowed, where)
  local all = { name = args.string }
  for name, check in pairs(allowed or {}) do all[name] = check end
  return args.options(given, all, where)
end

--- A stage's fields from its options.
function options.stage(given, allowed, where, fields)
  local checked = options.check(given, allowed, where)
  fields.name = checked.name
  return fields, checked
end

options.PURE = 8
options.ORDERED = 1
options.COMBINES = 2
options.BY = 4

return options

--- fan_in(): what follows runs in one task again.
local options = require 'neap.flow.options'

local function declare(given) return (options.stage(given, nil, 'fan_in', {})) end

return { name = 'fan_in', kind = 12, declare = declare }

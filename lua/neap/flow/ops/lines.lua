--- lines(): of the files that the items name. Cut at newlines, which are not in the line.
local options = require 'neap.flow.options'

local function declare(given) return (options.stage(given, nil, 'lines', {})) end

return { name = 'lines', kind = 5, declare = declare }

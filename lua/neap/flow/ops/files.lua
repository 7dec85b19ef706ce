--- files(glob | directory | list): paths. `:lines()` and `:words()` behind it read their text.
local args = require 'neap.args'
local options = require 'neap.flow.options'

local function declare(what, given)
  local texts = what
  if type(what) == 'string' then
    texts = { what }
  elseif type(what) ~= 'table' then
    args.fail(what, 'what', 'a pattern, a directory or a list of them')
  end
  local copy = {}
  for index = 1, #texts do copy[index] = args.string(texts[index], 'what') end
  local stage = options.stage(given, nil, 'files', {})
  stage.texts = copy
  return stage
end

return { name = 'files', kind = 4, declare = declare }

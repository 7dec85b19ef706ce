--- words(pattern): the runs of a class of bytes. Native for patterns of one class (`%S+`, `%a+`,
--- `[%w_]+`); any other Lua pattern is matched by Lua.
local args = require 'neap.args'
local native = require 'neap.ffi'
local options = require 'neap.flow.options'

local DEFAULT = '%S+'

local function is_native(pattern) return native.C.npl_class_known(pattern, #pattern) end

local function declare(pattern, given)
  if type(pattern) == 'table' then pattern, given = nil, pattern end
  if pattern == nil then pattern = DEFAULT end
  local stage = options.stage(given, nil, 'words', {})
  stage.class = pattern
  return stage
end

local function replace(previous, pattern, given)
  if pattern == nil or type(pattern) == 'table' then return nil end
  args.string(pattern, 'pattern')
  if is_native(pattern) then return nil end
  string.find('', pattern) -- A malformed pattern is told of here.
  local function matches(text, emit)
    for word in string.gmatch(text, pattern) do emit(word) end
  end
  local name = options.check(given, nil, 'words').name
  return require('neap.flow').stage('flat_map', previous, matches, { name = name or 'words' })
end

return { name = 'words', kind = 6, declare = declare, replace = replace }

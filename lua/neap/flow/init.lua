--- Dataflow: stages are immutable values; nothing runs before an ending (`run`, `start`, `iter`).
--- Each operator is a module under flow/ops; its `declare` checks the arguments of the method.
local args = require 'neap.args'
local errors = require 'neap.errors'

local Stage = {}
local Meta = { __index = Stage, __name = 'neap.Stage' }

local SOURCES = { 'range', 'list', 'iter', 'files' }
local METHODS = {
  'lines', 'words', 'map', 'filter', 'flat_map', 'take', 'fan_out', 'fan_in', 'reduce', 'sum',
  'count', 'count_by', 'top', 'collect', 'each',
}

-- Fields that a stage may lack: false, so that a mistyped method is told from them.
local OPTIONAL = {
  'name', 'where', 'flags', 'numbers', 'texts', 'class', 'fn', 'combine', 'init', 'n', 'by',
  'emits', 'pure', 'implicit', 'list', 'f', 's', 'c',
}

local flow = {}

-- A stage: what its operator declared, where, and the stage before it.
local function make(op, previous, ...)
  local stage = op.declare(...)
  stage.op, stage.previous = op, previous or false
  stage.where = errors.caller()
  for _, field in ipairs(OPTIONAL) do
    if stage[field] == nil then stage[field] = false end
  end
  return setmetatable(stage, Meta)
end

--- For operators that are other operators in disguise: `words` with a pattern that only Lua knows.
function flow.stage(op_name, previous, ...)
  return make(require('neap.flow.ops.' .. op_name), previous, ...)
end

for _, name in ipairs(SOURCES) do
  flow[name] = function(...)
    return make(require('neap.flow.ops.' .. name), nil, ...)
  end
end

for _, name in ipairs(METHODS) do
  Stage[name] = function(self, ...)
    args.method(self, Meta, ('stage:%s(...)'):format(name))
    local op = require('neap.flow.ops.' .. name)
    if op.replace then
      local other = op.replace(self, ...)
      if other then return other end
    end
    return make(op, self, ...)
  end
end

--- The lines of one file, or of standard input for "-".
--- @param path string
function flow.lines(path, options)
  args.string(path, 'path')
  return flow.files(path):lines(options)
end

for _, name in ipairs { 'run', 'start', 'iter', 'explain' } do
  Stage[name] = function(self, options)
    args.method(self, Meta, ('stage:%s()'):format(name))
    return require('neap.flow.run')[name](self, options)
  end
end

Meta.__tostring = function(self)
  local names, stage = {}, self
  while stage do
    table.insert(names, 1, stage.name or stage.op.name)
    stage = stage.previous
  end
  return 'flow ' .. table.concat(names, ' > ')
end

args.strict(Stage, 'a stage')
flow.Stage = Stage
flow.Meta = Meta

--- Told of each file that could not be read: `report(path, reason)`. The command prints them.
flow.report_file_errors = require('neap.flow.problems').default()

return flow

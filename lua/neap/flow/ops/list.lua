--- list(t): t[1..#t], by reference; do not change it while it runs.
local args = require 'neap.args'
local fault = require 'neap.flow.fault'
local options = require 'neap.flow.options'

local function declare(list, given)
  args.table(list, 'list')
  local stage = options.stage(given, nil, 'list', {})
  stage.list = list
  return stage
end

local function hole(index)
  fault.raise(('list: item %d is nil; fix: fill the hole, or use neap.null'):format(index))
end

local function begin(state, _, item)
  -- Behind a hole `#` may see nothing.
  state.list, state.position, state.last = item.list, 0, table.maxn(item.list)
end

-- The next items: a table and the first and last index, or nil.
local function pull(state, room)
  local from = state.position + 1
  if from > state.last then return nil end
  local to = math.min(state.position + room, state.last)
  state.position = to
  return state.list, from, to
end

return {
  name = 'list', kind = 2, declare = declare, source = true, by_reference = { 'list' },
  begin = begin, pull = pull, helpers = { hole = hole },
  body = 'if x == nil then hole(i) end',
}

--- iter(f, s, c): the first values of a Lua iterator, pulled where the graph was started.
local args = require 'neap.args'
local options = require 'neap.flow.options'

local function declare(f, s, c, given)
  args.callable(f, 'f')
  local stage = options.stage(given, nil, 'iter', {})
  stage.f, stage.s, stage.c = f, s, c
  return stage
end

local function begin(state, _, item)
  state.f, state.s, state.c, state.items, state.most = item.f, item.s, item.c, {}, 1
end

-- One item at first: what comes slowly shall not wait for a chunk.
local function pull(state, room)
  local f, s, c, items = state.f, state.s, state.c, state.items
  if f == nil then return nil end
  local most, count = math.min(state.most, room), 0
  for index = 1, most do
    c = f(s, c)
    if c == nil then
      state.f = nil
      break
    end
    items[index] = c
    count = index
  end
  state.c, state.most = c, math.min(state.most * 2, 4096)
  if count == 0 then return nil end
  return items, 1, count
end

return {
  name = 'iter', kind = 3, declare = declare, source = true, by_reference = { 'f', 's', 'c' },
  begin = begin, pull = pull, pulls_user_code = true,
}

--- take(n): the first n items; ends with the n-th, never waits for one more.
local args = require 'neap.args'
local options = require 'neap.flow.options'

local function declare(n, given)
  args.integer(n, 'n', 0, 2 ^ 53)
  local stage = options.stage(given, nil, 'take', { n = n })
  stage.numbers = { n, 0, 0 }
  return stage
end

return {
  name = 'take', kind = 10, declare = declare,
  begin = function(state, k, item) state['left' .. k] = item.n end,
  enter = 'local left$ = S.left$',
  body = 'left$ = left$ - 1',
  tail = 'if left$ == 0 then break end',
  leave = 'S.left$ = left$',
  is_done = function(state, k) return state['left' .. k] == 0 end,
}

--- count(): how many items there are.
local options = require 'neap.flow.options'

local function declare(given) return (options.stage(given, nil, 'count', {})) end

return {
  name = 'count', kind = 15, declare = declare, reduces = true, single = true,
  begin = function(state, k) state['n' .. k] = 0 end,
  enter = 'local n$ = S.n$',
  body = function(item) return item.mode == 2 and 'n$ = n$ + x' or 'n$ = n$ + 1' end,
  leave = 'S.n$ = n$',
  finish = function(state, k, _, emit) emit(state['n' .. k]) end,
}

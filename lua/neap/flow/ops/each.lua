--- each(f): calls f with each item, one at a time, where the graph was started; closures over its
--- locals work. `run` returns the number of items.
local args = require 'neap.args'
local options = require 'neap.flow.options'

local function declare(fn, given)
  args.callable(fn, 'fn')
  return (options.stage(given, nil, 'each', { fn = fn }))
end

return {
  name = 'each', kind = 19, declare = declare, reduces = true, single = true,
  by_reference = { 'fn' },
  begin = function(state, k) state['n' .. k] = 0 end,
  enter = 'local n$ = S.n$',
  body = 'F$(x) n$ = n$ + 1',
  leave = 'S.n$ = n$',
  finish = function(state, k, _, emit) emit(state['n' .. k]) end,
}

--- collect(): a list of all items.
local errors = require 'neap.errors'
local options = require 'neap.flow.options'

local MOST = 1e6

local function declare(given)
  return (options.stage(given, nil, 'collect', {}))
end

local function too_many()
  errors.raise(errors.limit(
    ('run: the result has more than %d items; fix: each(f), or collect() for a list'):format(MOST)))
end

return {
  name = 'collect', kind = 18, declare = declare, reduces = true, single = true,
  helpers = { too_many = too_many },
  begin = function(state, k) state['list' .. k], state['n' .. k] = {}, 0 end,
  enter = 'local list$, n$ = S.list$, S.n$',
  body = function(item)
    local limit = item.implicit and ('if n$ > %d then too_many() end '):format(MOST) or ''
    return 'n$ = n$ + 1 ' .. limit .. 'list$[n$] = x'
  end,
  leave = 'S.n$ = n$',
  finish = function(state, k, _, emit) emit(state['list' .. k]) end,
}

--- top(n, by): the n largest, best first. Pairs {k, v} compare by their second element; among equal
--- ones the smaller key comes first, or the earlier item where there is no key.
local args = require 'neap.args'
local fault = require 'neap.flow.fault'
local options = require 'neap.flow.options'

local function declare(n, by, given)
  if type(by) == 'table' then by, given = nil, by end
  args.integer(n, 'n', 0, 2 ^ 31)
  args.optional_func(by, 'by')
  local stage = options.stage(given, nil, 'top', { n = n, by = by })
  stage.numbers = { n, 0, 0 }
  stage.flags = by and options.BY or 0
  return stage
end

local function weight_of(x)
  if type(x) == 'table' then return x[2] end
  return x
end

local function fail(x)
  fault.raise(('top: cannot compare a %s; fix: top(n, function(x) return ... end)'):format(type(x)))
end

-- Is a, weighing wa, better than b?
local function better(a, wa, b, wb)
  if wa ~= wb then return wa > wb end
  if type(a) ~= 'table' or type(b) ~= 'table' then return false end
  local ka, kb = a[1], b[1]
  return type(ka) == type(kb) and (type(ka) == 'string' or type(ka) == 'number') and ka < kb
end

-- Puts x into its place among the best so far; equal ones stay in the order in which they came.
local function insert(best, weights, n, x, weight)
  local low, high = 1, #best + 1
  while low < high do
    local middle = math.floor((low + high) / 2)
    if better(x, weight, best[middle], weights[middle]) then high = middle else low = middle + 1 end
  end
  table.insert(best, low, x)
  table.insert(weights, low, weight)
  if #best > n then
    best[n + 1] = nil
    weights[n + 1] = nil
  end
end

local function offer(top, x)
  local weight
  if top.by then weight = top.by(x) else weight = weight_of(x) end
  local kind = type(weight)
  if kind ~= 'number' and kind ~= 'string' then return fail(weight == nil and x or weight) end
  local best, weights, n = top.best, top.weights, top.n
  local count = #best
  if count == n and (n == 0 or not better(x, weight, best[n], weights[n])) then return end
  if count > 0 and type(weights[1]) ~= kind then return fail(x) end
  insert(best, weights, n, x, weight)
end

local function finish(state, k, _, emit)
  local best = state['top' .. k].best
  for index = 1, #best do emit(best[index]) end
end

return {
  name = 'top', kind = 17, declare = declare, reduces = true, helpers = { offer = offer },
  begin = function(state, k, item)
    state['top' .. k] = { n = item.n, by = item.by, best = {}, weights = {} }
  end,
  enter = 'local top$ = S.top$',
  body = 'offer(top$, x)',
  finish = finish,
}

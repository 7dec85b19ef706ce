--- reduce(init, f, combine): one item. A function as init makes the accumulator. With `combine`
--- each worker has one of its own; init is then the identity of combine.
local args = require 'neap.args'
local fault = require 'neap.flow.fault'
local options = require 'neap.flow.options'

local function declare(init, fn, combine, given)
  if type(combine) == 'table' then combine, given = nil, combine end
  if init == nil then args.fail(init, 'init', 'a value, or a function that makes it') end
  if type(init) == 'table' then
    args.fail(init, 'init', 'a function', 'function() return { ... } end: each run needs its own')
  end
  args.callable(fn, 'fn')
  args.optional_func(combine, 'combine')
  local stage = options.stage(given, nil, 'reduce', { init = init, fn = fn, combine = combine })
  stage.flags = combine and options.COMBINES or 0
  return stage
end

local function start(item)
  local v = item.init
  if type(v) == 'function' then v = v() end
  if v == nil then fault.raise 'reduce: init returned nil' end
  return v
end

local function finish(state, k, item, emit)
  local acc = state['acc' .. k]
  -- A partial without items says nothing.
  if item.mode == 1 then
    if state['any' .. k] then emit(acc) end
    return
  end
  if item.mode == 2 and not state['any' .. k] then acc = start(item) end
  emit(acc)
end

return {
  name = 'reduce', kind = 13, declare = declare, reduces = true, single = true,
  begin = function(state, k, item)
    state['any' .. k] = false
    if item.mode ~= 2 then state['acc' .. k] = start(item) end
  end,
  enter = 'local acc$, any$ = S.acc$, S.any$',
  body = function(item)
    if item.mode == 2 then
      return 'if any$ then acc$ = G$(acc$, x) if acc$ == nil then nil_result() end '
        .. 'else acc$, any$ = x, true end'
    end
    return 'any$ = true acc$ = F$(acc$, x) if acc$ == nil then nil_result() end'
  end,
  leave = 'S.acc$, S.any$ = acc$, any$',
  finish = finish,
}

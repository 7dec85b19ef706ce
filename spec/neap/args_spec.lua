local errors = require 'neap.errors'
local args = require 'neap.args'

-- A public function of Neap as the checks see it: a chunk of ours that calls args.
local function ours(code)
  return assert(loadstring(code, '=neap/fake.lua'))(args)
end

local function failing(fn, ...)
  local ok, e = pcall(fn, ...)
  assert.is_false(ok)
  assert.is_true(errors.is(e, 'argument'), tostring(e))
  return e
end

local function line() return debug.getinfo(2, 'l').currentline end

describe('args', function()
  it('blame the line of the caller and say argument, expected and got', function()
    local neap = { channel = ours [[
      local args = ...
      return function(capacity) args.integer(capacity, 'capacity', 0, 2147483647) return 1 end]] }
    local expected
    local e = failing(function() expected = line(); local _ = neap.channel(-1) end)
    assert.matches('args_spec.lua:' .. expected .. ": bad argument #1 'capacity' to 'channel': "
      .. 'expected an integer from 0 to 2147483647, got %-1$', e.message)
    assert.matches('args_spec.lua:' .. expected .. '$', e.where)
    assert.equal('argument: ' .. e.message, tostring(e))
    assert.matches('args_spec.lua:' .. expected .. ': in function', e.traceback)
  end)

  it('do not count self', function()
    local ch = { recv = ours [[
      local args = ...
      return function(self, timeout) local t = args.timeout(timeout, 'timeout') return t, 1 end]] }
    local e = failing(function() local _ = ch:recv 'soon' end)
    assert.matches("bad argument #1 'timeout' to 'recv': expected seconds, 0 or more, or nil, "
      .. 'got the string "soon"$', e.message)
  end)

  it('blame the user although several of our functions lie between', function()
    local open = ours [[
      local args = ...
      local function inner(n) local v = args.positive(n, 'permits') return v, 1 end
      return function(permits) local v = inner(permits) return v, 1 end]]
    local e = failing(function() local _ = open(0) end)
    assert.matches("args_spec.lua:%d+: bad argument #1 'permits' to 'open': "
      .. 'expected an integer from 1 to 2147483647, got 0$', e.message)
  end)

  it('take integers within bounds only', function()
    assert.equal(0, args.integer(0, 'n', 0, 5))
    assert.equal(5, args.integer(5, 'n', 0, 5))
    assert.equal(-2 ^ 53, args.integer(-2 ^ 53, 'n'))
    for _, bad in ipairs { -1, 6, 1.5, 0 / 0, 1 / 0, '3', {}, true } do
      failing(args.integer, bad, 'n', 0, 5)
    end
    assert.matches('an integer, 3 or more, got 2', failing(args.integer, 2, 'n', 3).message)
    assert.matches('got nil$', failing(args.integer, nil, 'n').message)
  end)

  it('give an absent count its default', function()
    assert.equal(1, args.count(nil, 'count'))
    assert.equal(7, args.count(nil, 'count', 7))
    assert.equal(3, args.count(3, 'count'))
    failing(args.count, 0, 'count')
    failing(args.positive, nil, 'permits')
  end)

  it('take numbers and seconds, but not NaN', function()
    assert.equal(-1.5, args.number(-1.5, 'x'))
    assert.equal(math.huge, args.seconds(math.huge, 's'))
    assert.equal(0.25, args.seconds(0.25, 's'))
    assert.is_nil(args.timeout(nil, 's'))
    failing(args.number, 0 / 0, 'x')
    failing(args.number, 3, 'x', 0, 1)
    failing(args.seconds, -1, 's')
    failing(args.seconds, nil, 's')
    failing(args.seconds, 0 / 0, 's')
    failing(args.timeout, -1, 's')
  end)

  it('explain a boolean timeout', function()
    local e = failing(args.timeout, true, 'timeout')
    assert.matches('got true; fix: .*`%(src:recv%(%)%)`$', e.message)
  end)

  it('tell types apart', function()
    assert.equal(print, args.func(print, 'fn'))
    assert.equal('', args.string('', 's'))
    assert.is_nil(args.optional_string(nil, 's'))
    assert.is_false(args.boolean(false, 'b'))
    assert.matches('expected a function, got nil', failing(args.func, nil, 'fn').message)
    assert.matches('expected a string, got 3', failing(args.string, 3, 's').message)
    assert.matches('expected a table, got a function', failing(args.table, print, 't').message)
    assert.matches('a string or nil, got a table', failing(args.optional_string, {}, 's').message)
  end)

  it('take callable tables where a function is meant', function()
    local callable = setmetatable({}, { __call = function() end })
    assert.equal(callable, args.callable(callable, 'fn'))
    assert.equal(print, args.callable(print, 'fn'))
    failing(args.callable, {}, 'fn')
    failing(args.callable, 'print', 'fn')
  end)

  it('name the nearest of a few words', function()
    local words = { 'block', 'drop_new', 'drop_old', 'error' }
    assert.equal('block', args.one_of('block', 'overflow', words))
    local e = failing(args.one_of, 'dropold', 'overflow', words)
    assert.matches('expected "block", "drop_new", "drop_old", "error", '
      .. 'got the string "dropold"; fix: "drop_old"$', e.message)
  end)

  it('name the nearest right option', function()
    local allowed = { timeout = args.seconds, name = args.string, on = true }
    local e = failing(args.options, { time_out = 5 }, allowed, 'run')
    assert.matches("run has no option 'time_out'; nearest: 'timeout'$", e.message)
    e = failing(args.options, { zebra = 5 }, allowed, 'run')
    assert.matches("run has no option 'zebra'$", e.message)
    e = failing(args.options, { 5 }, allowed, 'run')
    assert.matches("run has no option '1'$", e.message)
  end)

  it('name the option whose value is wrong', function()
    local run = ours [[
      local args = ...
      return function(options)
        options = args.options(options, { timeout = args.seconds }, 'run')
        return options
      end]]
    local e = failing(function() local _ = run { timeout = '5' } end)
    assert.matches("args_spec.lua:%d+: bad option 'timeout' to 'run': "
      .. 'expected seconds, 0 or more, got the string "5"$', e.message)
    e = failing(function() local _ = run(5) end)
    assert.matches("bad argument #1 'options' to 'run': expected a table of options or nil, got 5",
      e.message)
  end)

  it('hand out options that can be read although none were given', function()
    local options = args.options(nil, {}, 'run')
    assert.is_nil(options.timeout)
    assert.has_error(function() options.timeout = 1 end)
    local given = { on = 1 }
    assert.equal(given, args.options(given, { on = true }, 'run'))
  end)

  it('find the nearest word, or none', function()
    local list = { 'range', 'receive', 'fan_out', 'timeout', 'filter', 'map' }
    assert.equal('range', args.nearest('rang', list))
    assert.equal('receive', args.nearest('recieve', list))
    assert.equal('fan_out', args.nearest('fanout', list))
    assert.equal('fan_out', args.nearest('fanOut', list))
    assert.equal('timeout', args.nearest('time_out', list))
    assert.equal('map', args.nearest('mpa', list))
    assert.is_nil(args.nearest('zebra', list))
    assert.is_nil(args.nearest('', list))
    assert.is_nil(args.nearest(('x'):rep(1000), list))
  end)

  it('make a class raise on a method that it lacks', function()
    local Channel = { receive = function() return 'got' end }
    Channel.__index = args.strict(Channel, 'a channel')
    local ch = setmetatable({}, Channel)
    assert.equal('got', ch:receive())
    local e = failing(function() ch:recieve() end)
    assert.matches('args_spec.lua:%d+: a channel has no method `recieve`; nearest: `receive`$',
      e.message)
    assert.is_nil(ch.__travel)
    assert.is_nil(ch[1])
    local neap = args.strict({ range = true }, 'neap', '')
    e = failing(function() return neap.rang, 1 end)
    assert.matches('neap has no `rang`; nearest: `range`$', e.message)
  end)

  it('catch a method called with a dot', function()
    local Stage = {}
    Stage.__index = Stage
    local stage = setmetatable({}, Stage)
    assert.equal(stage, args.method(stage, Stage, 's:map(f)'))
    local e = failing(args.method, print, Stage, 's:map(f)')
    assert.matches('map was called with `.`, or on something else; fix: `s:map%(f%)`', e.message)
    failing(args.method, nil, Stage, 's:map(f)')
  end)
end)

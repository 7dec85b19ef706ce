local ffi = require 'ffi'
local codec = require 'neap.codec'
local errors = require 'neap.errors'

-- There and back within this state.
local function trip(value)
  local text, handles = codec.encode_string(value)
  return codec.decode_string(text, handles)
end

local function trip_all(count, ...)
  local message, handles = codec.encode_all(count, ...)
  local text = message:tostring()
  return codec.decode_all(ffi.cast('const uint8_t *', text), #text, handles)
end

local function refused(fn, ...)
  local ok, e = pcall(fn, ...)
  assert.is_false(ok)
  assert.is_true(errors.is(e, 'unsendable'), tostring(e))
  assert.is_string(e.path)
  return e
end

local function write(text, to)
  local file = assert(io.open(to, 'wb'))
  file:write(text)
  file:close()
end

-- Decodes `value` in another process, runs `code` on it there and returns what that prints.
local function elsewhere(value, code)
  local interpreter = os.getenv 'NEAP_LOOP' == 'own' and os.getenv 'NEAP_COMMAND' or 'luajit'
  local message, script = os.tmpname(), os.tmpname()
  write(codec.encode_string(value), message)
  write(([[
    local codec = require 'neap.codec'
    codec.set_place 'worker 2'
    local file = assert(io.open(%q, 'rb'))
    local text = file:read '*a'
    file:close()
    local ok, e = pcall(function()
      local value = codec.decode_string(text)
      %s
    end)
    if not ok then print(e) end]]):format(message, code), script)
  local pipe = assert(io.popen(interpreter .. ' ' .. script .. ' 2>&1'))
  local output = pipe:read '*a'
  pipe:close()
  os.remove(message)
  os.remove(script)
  return (output:gsub('%s+$', ''))
end

describe('codec: data', function()
  it('carries scalars', function()
    for _, value in ipairs { 0, -0.5, 1e300, math.huge, '', 'a\0b', true, false, codec.null } do
      assert.equal(value, trip(value))
    end
    assert.is_nil(trip(nil))
    local nan = trip(0 / 0)
    assert.is_true(nan ~= nan)
    assert.equal(-math.huge, 1 / trip(-0.0))
    assert.is_true(trip(2LL ^ 62) == 2LL ^ 62)
    assert.is_true(trip(18446744073709551615ULL) == 18446744073709551615ULL)
  end)

  it('has a null that is one value everywhere', function()
    assert.equal('neap.null', tostring(codec.null))
    assert.equal(codec.null, trip { { codec.null } }[1][1])
    assert.equal('x', trip({ [codec.null] = 'x' })[codec.null])
    assert.equal('true\tneap.null',
      elsewhere({ codec.null }, 'print(value[1] == codec.null, value[1])'))
  end)

  it('leaves other light userdata as they print', function()
    local NULL = require 'string.buffer'.decode '\3'
    assert.equal('userdata: NULL', tostring(NULL))
    assert.equal(NULL, trip(NULL)) -- The null of cjson and nginx.
    assert.is_false(NULL == codec.null)
  end)

  it('carries nested tables by value', function()
    local value = { 1, 2, { a = { b = 'c', [2.5] = false } }, [true] = 7LL }
    local copy = trip(value)
    assert.are_not.equal(value, copy)
    assert.equal('c', copy[3].a.b)
    assert.is_false(copy[3].a[2.5])
    assert.is_true(copy[true] == 7LL)
  end)

  it('is the encoding of string.buffer for plain values', function()
    local buffer = require 'string.buffer'
    assert.equal(buffer.encode { 1, { 2 } }, (codec.encode_string { 1, { 2 } }))
    local _, handles = codec.encode { 1 }
    assert.is_nil(handles)
  end)

  it('carries tables 100 deep and no deeper, special or not', function()
    for _, leaf in ipairs { 1, print } do
      local value = { leaf }
      for _ = 2, 100 do value = { value } end
      local copy = trip(value)
      for _ = 1, 100 do copy = copy[1] end
      assert.equal(leaf, copy)
      local e = refused(codec.encode, { value })
      assert.matches('is nested more than 100 tables deep', e.message)
      assert.is_true(#e.message < 250)
    end
  end)

  it('carries lists of arguments, nils included', function()
    local function count(...) return select('#', ...), ... end
    assert.same({ 3, nil, 2, nil }, { count(trip_all(3, nil, 2, nil)) })
    assert.same({ 0 }, { count(trip_all(0)) })
    local n, a, b, c, d = count(trip_all(4, nil, print, { print }, nil))
    assert.equal(4, n)
    assert.is_nil(a)
    assert.equal(print, b)
    assert.equal(print, c[1])
    assert.is_nil(d)
    local text = codec.encode_string 'one'
    assert.equal('one', codec.decode_all(ffi.cast('const uint8_t *', text), #text))
  end)

  it('takes a new value after a refused one', function()
    refused(codec.encode, { io.tmpfile() })
    assert.equal(1, trip { 1 }[1])
  end)
end)

describe('codec: refusals', function()
  it('name the path from the variable of the user', function()
    local job = { options = { logger = setmetatable({}, {}) } }
    local e = refused(function() codec.encode(job) end)
    assert.equal('job.options.logger', e.path)
    assert.equal('job.options.logger has a metatable; register it with neap.codec.register',
      e.message)
    assert.matches('codec_spec.lua:%d+$', e.where)
  end)

  it('name the argument when no variable holds it', function()
    local thread = coroutine.create(print)
    local e = refused(function() codec.encode_all(2, 1, { ['a b'] = { f = thread } }) end)
    assert.matches('^argument 2%["a b"%]%.f is a coroutine; fix: ', e.message)
    e = refused(function() codec.encode { thread } end)
    assert.equal('value[1]', e.path)
  end)

  it('say what the thing is and what to do', function()
    local log = { out = assert(io.tmpfile()) }
    assert.matches('^log.out is a file; fix: open it',
      refused(function() codec.encode(log) end).message)
    local proxy = newproxy()
    assert.matches('^proxy is a userdata; fix: ',
      refused(function() codec.encode(proxy) end).message)
    local cells = ffi.new 'int[3]'
    assert.matches('^cells is a cdata %(int %[3%]%); fix: ',
      refused(function() codec.encode(cells) end).message)
    local keyed = { a = { [{}] = 1 } }
    assert.matches('^keyed.a has a key that is a table; ',
      refused(function() codec.encode(keyed) end).message)
    local hidden = { setmetatable({}, { __metatable = false }) }
    assert.matches('^hidden%[1%] has a metatable',
      refused(function() codec.encode(hidden) end).message)
  end)

  it('find cycles and say where', function()
    local tree = { child = {} }
    tree.child.parent = tree
    local e = refused(function() codec.encode(tree) end)
    assert.matches('^tree.child.parent leads back to .* %(a cycle%); fix: send a key or an id',
      e.message)
  end)

  it('copy what is shared without being a cycle', function()
    local shared = { 1 }
    local copy = trip { a = shared, b = shared, f = print }
    assert.equal(1, copy.a[1])
    assert.equal(1, copy.b[1])
  end)

  it('name the upvalue and its function', function()
    local log = { out = coroutine.create(print) }
    local function handler() return log.out end
    local at = debug.getinfo(handler, 'S').linedefined
    local e = refused(function() codec.encode(handler) end)
    assert.matches("^upvalue 'log.out' of function at .*codec_spec.lua:" .. at .. ' is a coroutine',
      e.message)
    local job = { handler = handler }
    e = refused(function() codec.encode(job) end)
    assert.matches("^upvalue 'log.out' of function at .*codec_spec.lua:" .. at
      .. ' %(job.handler%)$', e.path)
    local function outer() return handler() end
    e = refused(function() codec.encode(outer) end)
    assert.matches("^upvalue 'log.out' of function at .- %(upvalue 'handler' of function at .-%)$",
      e.path)
  end)

  it('refuse a C function that no module holds', function()
    local step = ('x'):gmatch '.'
    local function words() return step() end
    local e = refused(function() codec.encode(words) end)
    assert.matches("^upvalue 'step' of function at .*:%d+ is a C function", e.message)
  end)

  it('refuse functions that live in an environment of their own', function()
    local function reads() return helper end -- luacheck: ignore
    setfenv(reads, { helper = 1 })
    assert.matches('reads `helper` from an environment of its own %(setfenv%); fix: ',
      refused(codec.encode, reads).message)
    local function sets() total = 1 end -- luacheck: ignore
    setfenv(sets, { })
    assert.matches('sets `total` in an environment', refused(codec.encode, sets).message)
    local function alike(x) return type(x) end
    setfenv(alike, setmetatable({}, { __index = _G }))
    assert.equal('number', trip(alike)(1))
  end)
end)

describe('codec: functions', function()
  it('carry their upvalues by value', function()
    local total, step = 10, { by = 5 }
    local function add(n)
      total = total + n * step.by
      return total
    end
    local copy = trip(add)
    assert.are_not.equal(add, copy)
    assert.equal(20, copy(2))
    assert.equal(25, copy(1))
    assert.equal(10, total)
  end)

  it('carry false and nil upvalues', function()
    local no, none = false, nil
    assert.same({ false, nil }, { trip(function() return no, none end)() })
  end)

  it('share the upvalues that they shared', function()
    local count = 0
    local function up() count = count + 1 end
    local function get() return count end
    local pair = trip { up = up, get = get }
    pair.up()
    pair.up()
    assert.equal(2, pair.get())
    local up2, get2 = trip_all(2, up, get)
    up2()
    assert.equal(1, get2())
    assert.equal(0, count)
  end)

  it('stay one function when sent twice in a message', function()
    local function f() end
    local pair = trip { f, f }
    assert.equal(pair[1], pair[2])
  end)

  it('recurse by their local names', function()
    local function factorial(n) return n < 2 and 1 or n * factorial(n - 1) end
    assert.equal(120, trip(factorial)(5))
    local even
    local function odd(n) if n == 0 then return false end return even(n - 1) end
    even = function(n) if n == 0 then return true end return odd(n - 1) end
    assert.is_true(trip(odd)(7))
  end)

  it('may be methods of an object that they name', function()
    local account = { balance = 0 }
    function account.put(n) account.balance = account.balance + n return account.balance end
    local copy = trip(account)
    assert.equal(5, copy.put(5))
    assert.equal(5, copy.balance)
    assert.equal(0, account.balance)
    assert.equal(7, trip({ inner = account }).inner.put(7))
  end)

  it('are separate at each arrival, though of one prototype', function()
    local n = 0
    local text = codec.encode_string(function() n = n + 1 return n end)
    local one, two = codec.decode_string(text), codec.decode_string(text)
    assert.equal(1, one())
    assert.equal(2, one())
    assert.equal(1, two())
    local util = require 'jit.util'
    assert.equal(util.funcinfo(one).proto, util.funcinfo(two).proto)
  end)

  it('share the traces of the first arrival', function()
    local text = codec.encode_string(function(n)
      local sum = 0
      for index = 1, n do sum = sum + index % 3 end
      return sum
    end)
    local traces = 0
    local function count(what) if what == 'start' then traces = traces + 1 end end
    jit.attach(count, 'trace')
    for _ = 1, 300 do codec.decode_string(text)(300) end
    jit.attach(count)
    assert.is_true(traces < 100, traces .. ' traces for 300 arrivals')
  end)

  it('carry functions within them, varargs and many upvalues', function()
    local k = 3
    local function outer(...)
      local sum = 0
      local function add(x) sum = sum + x * k end
      for index = 1, select('#', ...) do add((select(index, ...))) end
      return sum
    end
    assert.equal(18, trip(outer)(1, 2, 3))
    local names, list = {}, {}
    for index = 1, 60 do names[index], list[index] = 'v' .. index, index end
    local text = ('local %s = %s return function() return %s end'):format(
      table.concat(names, ', '), table.concat(list, ', '), table.concat(names, ' + '))
    assert.equal(1830, trip(assert(loadstring(text))())())
  end)

  it('keep right results in compiled code when an upvalue changes', function()
    local sum, limit = 0, 100
    local function count() for index = 1, limit do sum = sum + index end return sum end
    for round = 1, 20 do
      limit = round * 100
      assert.equal(limit * (limit + 1) / 2, trip(count)())
    end
  end)

  it('keep file and line for their errors', function()
    local function fails() error 'boom' end
    local at = debug.getinfo(fails, 'S').linedefined
    local _, message = pcall(trip(fails))
    assert.matches('codec_spec.lua:' .. at .. ': boom$', message)
  end)

  it('go by name when a module holds them', function()
    assert.equal(string.format, trip(string.format))
    assert.equal(codec.encode, trip(codec.encode))
    assert.equal(io.stdout, trip(io.stdout))
    assert.equal(table.remove, trip { table.remove }[1])
    local upper = string.upper
    assert.equal('A', trip(function() return upper 'a' end)())
  end)

  it('take modules along by name', function()
    local required = codec
    assert.equal(codec, trip(function() return required end)())
    assert.equal(codec, trip { required }[1])
  end)

  it('notice modules that were loaded or changed since', function()
    local module = { rate = 2 }
    function module.twice(n) return module.rate * n end
    package.loaded['codec_spec.late'] = module
    assert.equal(module.twice, trip(module.twice))
    local replaced = module.twice
    module.twice = function() end
    assert.are_not.equal(replaced, trip(replaced))
    package.loaded['codec_spec.late'] = nil
    assert.are_not.equal(module, trip(module))
  end)

  it('go by value when a script added them to a library', function()
    local code = [[return function(s) return s:match '^%s*(.-)%s*$' end]]
    rawset(string, 'codec_spec_trim', loadstring(code, '=(command line)')())
    local trim = rawget(string, 'codec_spec_trim')
    local copy = trip(trim)
    rawset(string, 'codec_spec_trim', nil)
    assert.are_not.equal(trim, copy)
    assert.equal('x', copy ' x ')
  end)
end)

describe('codec: another state', function()
  it('runs what arrives', function()
    local total, format = 4, string.format
    local function fib(n) return n < 2 and n or fib(n - 1) + fib(n - 2) end
    local function work(n) return format('%d %d', total, fib(n)) end
    assert.equal('4 55', elsewhere(work, 'print(value(10))'))
  end)

  it('gets modules by name', function()
    local required = codec
    assert.equal('true', elsewhere({ function() return required end },
      'print(value[1]() == require "neap.codec")'))
  end)

  it('says which module it lacks', function()
    package.loaded['codec_spec.here'] = { go = function() end }
    local here = package.loaded['codec_spec.here']
    assert.matches('codec_spec.here is a module that worker 2 cannot load: ',
      elsewhere({ here.go }, ''))
    package.loaded['codec_spec.here'] = nil
  end)

  it('raises on reading a global that did not travel', function()
    rawset(_G, 'codec_spec_helper', 5)
    local function work(ask)
      if ask then return codec_spec_helper end -- luacheck: ignore
      return 1
    end
    setfenv(work, _G)
    local said = elsewhere(work, 'print(value(false)) print(value(true))')
    rawset(_G, 'codec_spec_helper', nil)
    assert.matches('^1\nunsendable: `codec_spec_helper` is undefined in worker 2 %(globals do not '
      .. 'travel%); fix: `local codec_spec_helper = codec_spec_helper`', said)
  end)

  it('lets functions set and then read globals of their own', function()
    local function work()
      codec_spec_set = 3 -- luacheck: ignore
      return codec_spec_set, _G.codec_spec_set -- luacheck: ignore
    end
    setfenv(work, _G)
    assert.equal('3\t3', elsewhere(work, 'print(value())'))
  end)

  it('sends on what it runs strictly', function()
    rawset(_G, 'codec_spec_helper', 5)
    local function work() return codec_spec_helper end -- luacheck: ignore
    setfenv(work, _G)
    local text = codec.encode_string(work)
    rawset(_G, 'codec_spec_helper', nil)
    local strict = codec.decode_string(text)
    local again = trip(strict)
    assert.matches('codec_spec_helper', refused(again).message)
    rawset(_G, 'codec_spec_helper', 6) -- Defined late, by a module perhaps.
    assert.equal(6, strict())
    rawset(_G, 'codec_spec_helper', nil)
  end)
end)

describe('codec: handles', function()
  local KIND = 901
  local taken, abandoned, Handle

  before_each(function()
    taken, abandoned = 0, {}
    Handle = {
      __travel = function(self)
        if self.broken then errors.raise(errors.moved 'buffer') end
        taken = taken + 1
        return KIND, self.pointer
      end,
    }
    codec.register_kind(KIND, {
      arrive = function(pointer)
        return setmetatable({ pointer = pointer, arrived = true }, Handle)
      end,
      abandon = function(pointer) abandoned[#abandoned + 1] = pointer end,
    })
  end)

  local function handle(pointer) return setmetatable({ pointer = pointer }, Handle) end

  it('ride beside the bytes in order of appearance', function()
    local _, handles = codec.encode { handle(1), { handle(2) } }
    assert.same({ { kind = KIND, pointer = 1 }, { kind = KIND, pointer = 2 } }, handles)
  end)

  it('arrive as objects wherever they were', function()
    local one = handle(1)
    local copy = trip { a = one, b = { one }, f = function() return one end }
    assert.is_true(copy.a.arrived)
    assert.equal(1, copy.a.pointer)
    assert.equal(copy.a, copy.b[1])
    assert.equal(copy.a, copy.f())
    assert.equal(1, taken) -- One reference a message, however often it is named.
    assert.equal(7, trip(handle(7)).pointer)
  end)

  it('are given up when the message fails half-way', function()
    local job = { handle(1), handle(2), { coroutine.create(print) } }
    refused(function() codec.encode(job) end)
    assert.same({ 2, 1 }, abandoned)
    local broken = setmetatable({ broken = true }, Handle)
    local ok, e = pcall(codec.encode_all, 3, handle(3), 'x', { inner = broken })
    assert.is_false(ok)
    assert.equal('moved', e.kind)
    assert.equal('argument 3.inner', e.path)
    assert.same({ 2, 1, 3 }, abandoned)
  end)
end)

describe('codec: classes', function()
  local Point = {}
  Point.__index = Point
  function Point:norm() return (self.x ^ 2 + self.y ^ 2) ^ 0.5 end
  codec.register(Point, { name = 'codec_spec.point' })

  it('travel by their name with their fields', function()
    local point = setmetatable({ x = 3, y = 4 }, Point)
    local copy = trip(point)
    assert.equal(5, copy:norm())
    assert.are_not.equal(point, copy)
    local pair = trip { point, point, f = function() return point end }
    assert.equal(pair[1], pair[2])
    assert.equal(pair[1], pair.f())
  end)

  it('may choose how they are encoded', function()
    local Pair = {}
    codec.register(Pair, {
      name = 'codec_spec.pair',
      encode = function(pair) return { pair.left, pair.right } end,
      decode = function(list) return setmetatable({ left = list[1], right = list[2] }, Pair) end,
    })
    local inner = setmetatable({ left = 1, right = print }, Pair)
    local copy = trip(setmetatable({ left = inner, right = 'r' }, Pair))
    assert.equal(1, copy.left.left)
    assert.equal(print, copy.left.right)
    assert.equal(Pair, getmetatable(copy.left))
    inner.left = inner
    assert.matches('%(a cycle%)', refused(function() codec.encode(inner) end).message)
  end)

  it('must be registered where they arrive', function()
    assert.matches('^unsendable: class `codec_spec.point` is not registered in worker 2; fix: ',
      elsewhere(setmetatable({ x = 1, y = 2 }, Point), 'print(value)'))
  end)

  it('are checked when registered', function()
    local ok, e = pcall(codec.register, Point, { nam = 'x' })
    assert.is_false(ok)
    assert.matches("register has no option 'nam'; nearest: 'name'", e.message)
    assert.is_false(pcall(codec.register, Point, {}))
    assert.is_false(pcall(codec.register, nil, { name = 'x' }))
  end)
end)

describe('codec: errors', function()
  it('travel with their fields', function()
    local e = errors.user({ code = 7 }, 'etl.lua:9: in main chunk')
    e.cause = errors.closed 'early'
    local copy = trip(e)
    assert.is_true(errors.is(copy, 'error'))
    assert.equal(7, copy.value.code)
    assert.equal('early', copy.cause.message)
    assert.is_true(errors.is(copy.cause, 'closed'))
    assert.equal('etl.lua:9: in main chunk', copy.traceback)
    assert.equal('true error: oops', elsewhere({ errors.user 'oops' },
      'print(tostring(require "neap.errors".is(value[1])) .. " " .. tostring(value[1]))'))
  end)

  it('turn what cannot travel into text, and keep the rest', function()
    local thread = coroutine.create(print)
    local e = errors.user({ code = 7, thread = thread, inner = { 1, thread } })
    e.item = thread
    e.also = { errors.closed 'x', thread }
    e.cause = e
    local copy = trip(e)
    assert.equal(7, copy.value.code)
    assert.equal(tostring(thread), copy.value.thread)
    assert.equal(1, copy.value.inner[1])
    assert.equal(tostring(thread), copy.value.inner[2])
    assert.equal(tostring(thread), copy.item)
    assert.equal('x', copy.also[1].message)
    assert.equal(tostring(thread), copy.also[2])
    assert.is_string(copy.cause)
    assert.is_string(copy:report())
  end)

  it('forget what a failed attempt took', function()
    local abandoned = 0
    codec.register_kind(902, {
      arrive = function(pointer) return pointer end,
      abandon = function() abandoned = abandoned + 1 end,
    })
    local handle = setmetatable({}, { __travel = function() return 902, 'p' end })
    local n = 1
    local function counter() n = n + 1 return n end
    local account = { handle, counter, setmetatable({}, {}) }
    function account.get() return account, n end
    local e = errors.user(account)
    local copy, after = trip_all(2, e, counter)
    assert.equal('p', copy.value[1])
    assert.equal(2, after())
    assert.equal(3, copy.value[2]())
    assert.is_true(abandoned > 0)
  end)
end)

--- The prompt: entries and what is printed of their values, by themselves; then the whole of it on
--- a terminal of its own, as a person would use it.
local pty = require 'behavior.pty'
local neap = require 'neap'
local chunk = require 'neap.cli.chunk'
local show = require 'neap.cli.show'

local function with_words(fn) return setmetatable({}, { __tostring = fn }) end

describe('what the prompt prints', function()
  local cases = {
    { 'numbers', 1, '1' }, { 'fractions', 0.5, '0.5' }, { 'nothing', nil, 'nil' },
    { 'strings, escaped', 'a"\n\0\127\\', [["a\"\n\000\127\\"]] },
    { 'lists', { 1, 2, { 3 } }, '{ 1, 2, { 3 } }' },
    { 'keys in order', { b = 1, a = 2, [10] = 3, [true] = 4, ['x y'] = 5, ['end'] = 6 },
      '{ [10] = 3, a = 2, b = 1, ["end"] = 6, ["x y"] = 5, [true] = 4 }' },
    { 'empty tables', {}, '{}' },
    { 'four levels', { { { { { 1 } } } } }, '{ { { { { ... } } } } }' },
    { 'built-in functions', print == nil and nil or string.len, 'function: built in' },
    { 'what has words of its own', with_words(function() return 'mine' end), 'mine' },
    { 'words that fail', with_words(function() error 'x' end), '(its __tostring failed)' },
    { 'int64', 5LL, '5LL' },
  }
  for _, case in ipairs(cases) do
    it('of ' .. case[1], function() assert.equal(case[3], show.value(case[2])) end)
  end

  it('of a table in itself is its level', function()
    local t = { name = 'loop' }
    t.self, t.inner = t, { up = t }
    assert.equal('{ inner = { up = <1> }, name = "loop", self = <1> }', show.value(t))
  end)

  it('is bounded: 20 items, 200 bytes, 20 KiB', function()
    local list = {}
    for index = 1, 1000 do list[index] = index end
    assert.matches('19,%s+20,%s+%.%.%. 980 more', show.value(list))
    assert.equal('"' .. ('x'):rep(200) .. '"... 100 bytes more', show.value(('x'):rep(300)))
    assert.equal('"' .. ('ä'):rep(100) .. '"... 2 bytes more', show.value(('ä'):rep(101)))
    local wide = {}
    for index = 1, 20 do
      wide[index] = {}
      for inner = 1, 20 do wide[index][inner] = { ('y'):rep(200), ('z'):rep(200) } end
    end
    assert.is_true(#show.value(wide) < 20600)
  end)

  it('of wide tables is one item a line', function()
    local text = show.value { first = ('a'):rep(50), second = ('b'):rep(50) }
    local expected = '{\n  first = "%s",\n  second = "%s"\n}'
    assert.equal(expected:format(('a'):rep(50), ('b'):rep(50)), text)
  end)

  it('runs no code of the user but __tostring', function()
    local touched = false
    local function touch() touched = true end
    local t = setmetatable({ 1 }, { __index = touch, __len = touch })
    assert.equal('{ 1 }', show.value(t))
    assert.is_false(touched)
  end)
end)

describe('an entry at the prompt', function()
  local session
  before_each(function() session = chunk.session() end)

  local function run(text)
    local fn, message, incomplete = chunk.compile(session, text)
    if not fn then return nil, message, incomplete end
    return fn()
  end

  it('is an expression if it can be one', function()
    assert.same({ 1, 2 }, { run '1, 2' })
    assert.equal(3, run '= 3')
    assert.is_nil(run 'x_of_prompt_spec = 4')
    assert.equal(4, run 'x_of_prompt_spec')
    x_of_prompt_spec = nil -- luacheck: globals x_of_prompt_spec
  end)

  it('asks for more lines only where more could help', function()
    local texts = { 'for i = 1, 2 do', 'f(', '{', 'x =', 'function f()', '[[', 'if x then' }
    for _, text in ipairs(texts) do
      local _, _, incomplete = run(text)
      assert.is_true(incomplete, text)
    end
    for _, text in ipairs { 'end', 'x = = 2', 'for for', ')' } do
      local _, message, incomplete = run(text)
      assert.is_false(incomplete, text)
      assert.matches('^prompt:1:', message)
    end
  end)

  it('keeps locals for later entries, shared with functions that use them', function()
    run 'local n, m = 1, 2'
    run 'local function add(k) n = n + k return n end'
    assert.equal(6, run 'add(5)')
    assert.equal(6, run 'n')
    run 'n = 10'
    assert.equal(11, run 'add(1)')
    run 'local n = n * 2'
    assert.equal(22, run 'n')
    assert.equal(12, run 'add(1)')
    assert.equal(22, run 'n')
    run 'local m'
    assert.is_nil(run 'm')
    assert.is_nil(rawget(_G, 'n'))
  end)

  it('keeps no local that is not at the start of a line', function()
    run 'do local inner = 1 end'
    run '  local indented = 1'
    assert.is_nil(run 'inner')
    assert.is_nil(run 'indented')
  end)

  it('starts tasks on workers with locals that were kept', function()
    chunk.define(session, 'neap', neap)
    run 'local base = 40'
    run 'local function work() return base + 2 end'
    neap.run(function() assert.equal(42, (run 'neap.spawn(work):join()')) end)
  end)
end)

local command = os.getenv 'NEAP_COMMAND' or './build/release/neap'
-- Under a sanitizer the start alone takes seconds.
local is_release = command:find 'release' ~= nil

-- The start alone takes seconds under a sanitizer: time limits would say nothing.
(is_release and describe or pending)('the prompt on a terminal', function()
  local state, p = os.tmpname(), nil
  os.remove(state)

  local function open(columns)
    local environment = { 'TERM=xterm', 'XDG_STATE_HOME=' .. state, 'LC_ALL=C.UTF-8',
      'NEAP_WORKERS=2' }
    p = pty.open({ command }, environment, 24, columns)
    p:wait 'neap> $'
  end
  -- What comes between the echo and the next prompt.
  local function say(line)
    local text = p:say(line, 'neap> $')
    local _, echo = text:find(line, 1, true)
    return (text:sub((echo or 0) + 1):gsub('^\n+', ''):gsub('\n+$', ''))
  end

  before_each(function() open() end)
  after_each(function()
    if p.over then return end
    p:type '\3'
    p:idle(0.2)
    p:type '\4'
    p:finish()
  end)
  teardown(function() os.execute('rm -rf ' .. state) end)

  it('prints values and goes on after errors', function()
    assert.equal('2', say '1 + 1')
    assert.equal('{ 1, "x" }\t3', say '{ 1, "x" }, 3')
    assert.equal('{ 1, "x" }', say '_')
    assert.equal('', say 'y = 5')
    assert.matches('^neap: error: prompt:1: boom', say 'error "boom"')
    assert.matches('unexpected symbol', say ')')
    assert.equal('5', say 'y ')
  end)

  it('takes an entry over several lines and keeps it as one', function()
    p:say('for i = 1, 3 do', '%.%.> $')
    p:say('  print(i * 10)', '%.%.> $')
    assert.equal('10\n20\n30', say 'end')
    p:type '\27[A' -- Up: the whole entry is there again.
    p:wait 'for i = 1, 3 do'
    p:type '\r'
    assert.matches('10\n20\n30\n', p:wait 'neap> $')
  end)

  it('runs tasks while it waits and shows what they print above', function()
    say 'neap.go(function() for i = 1, 3 do neap.sleep(0.05) print("tick " .. i) end end)'
    p:type 'half typed'
    p:wait 'tick 3\nneap> half typed'
    p:type '\3'
    p:wait 'neap> $'
    say 'neap.spawn(function() neap.sleep(0.05) print "from a worker" end)'
    p:wait 'from a worker\nneap> $'
  end)

  it('shows errors of tasks and goes on', function()
    p:say('neap.go(function() neap.sleep(0.05) error "in the back" end)', 'in the back.*neap> $')
    assert.equal('1', say '2 - 1')
  end)

  it('drops the entry at Ctrl-C', function()
    p:type 'never run'
    p:wait 'never run'
    p:type '\3'
    p:wait '%^C\n+neap> $'
    p:say('if true then', '%.%.> $')
    p:type '\3'
    p:wait 'neap> $'
    assert.equal('7', say '3 + 4')
  end)

  it('cancels the line that runs at Ctrl-C, and nothing else', function()
    say 'local log = {}'
    say 'neap.go(function() while true do neap.sleep(0.02) log[1] = (log[1] or 0) + 1 end end)'
    p:type 'neap.sleep(1000)\r'
    p:wait 'sleep%(1000%)\n'
    p:idle(0.3)
    p:type '\3'
    p:wait 'interrupted\nneap> $'
    say 'local function grows() local n = log[1] neap.sleep(0.1) return log[1] > n end'
    assert.equal('true', say 'grows()')
  end)

  it('interrupts a line that does not listen at the second Ctrl-C', function()
    for _, line in ipairs { 'while true do end', 'pcall(function() while true do end end)',
      'local n = 0 repeat n = n + #tostring(n) until false' } do
      p:type(line .. '\r')
      p:idle(0.4)
      p:type '\3'
      p:idle(0.3)
      p:type '\3'
      p:wait 'neap> $'
      assert.equal('8', say '4 + 4')
    end
  end)

  it('leaves at Ctrl-D and keeps the history for the next time, for its owner only', function()
    say '"remember me"'
    say ' "not me"'
    p:type '\4'
    assert.equal(0, p:finish())
    local pipe = io.popen(('stat -c %%a %s/neap/history'):format(state))
    assert.equal('600', pipe:read '*l')
    pipe:close()
    open()
    p:type '\27[A'
    p:wait '"remember me"'
    p:type '\3'
    p:wait 'neap> $'
  end)

  it('is right about wide characters and long lines', function()
    p:type '\4'
    p:finish()
    open(40)
    say 'neap.go(function() neap.sleep(0.1) print "above" end)'
    local long = '"' .. ('日本'):rep(30) .. '"'
    p:type(long)
    p:wait 'above'
    p:type '\r'
    assert.matches('"日本', p:wait 'neap> $')
    assert.equal('6', say '#"日本"')
  end)

  it('unwinds what still runs when it leaves', function()
    say 'neap.go(function() neap.defer(print, "unwound") neap.sleep(1000) end)'
    p:type '\4'
    p:wait 'unwound'
    assert.equal(0, p:finish())
  end)
end)

describe('neap without a terminal', function()
  local function run(input)
    local name = os.tmpname()
    local file = io.open(name, 'w')
    file:write(input)
    file:close()
    local pipe = io.popen(('%s < %s 2>&1; echo "status $?"'):format(command, name))
    local text = pipe:read '*a'
    pipe:close()
    os.remove(name)
    return text
  end

  it('runs standard input as a program', function()
    assert.equal('3\nstatus 0\n', run 'local x = 1\nprint(x + 2)')
    assert.matches('neap: error: stdin:1: .*status 1', run 'error "x"')
    assert.matches('neap: error: stdin:1: .*status 1', run 'x = = 1')
  end)
end)

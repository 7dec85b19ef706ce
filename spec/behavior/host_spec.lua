--- Neap as a guest of a stock LuaJIT: turns, what a host sleeps on, closing and opening again, and
--- ends of every kind. The host's loop only; time limit: 300.
local helper = require 'spec_helper'
if helper.loop ~= 'host' then
  describe('a host', function() pending 'runs under a stock luajit only' end)
  return
end

local ffi = require 'ffi'
local neap = require 'neap'
local print = print
ffi.cdef [[
typedef struct { int fd; short events, revents; } spec_pollfd;
int poll(spec_pollfd *fds, unsigned long count, int timeout);
int fork(void); int waitpid(int pid, int *status, int options); void _exit(int);
]]

local function is_readable(fd, milliseconds)
  local fds = ffi.new('spec_pollfd[1]', { { fd = fd, events = 1 } })
  return ffi.C.poll(fds, 1, milliseconds or 0) == 1
end

local function raises(kind, fn, ...)
  local ok, e = pcall(fn, ...)
  assert.is_false(ok)
  assert.equal(kind, type(e) == 'table' and e.kind or tostring(e))
  return e
end

local function count(command)
  local pipe = io.popen(command)
  local n = tonumber(pipe:read '*a')
  pipe:close()
  return n
end

-- Of this process; the shell is a child.
local function used()
  local stat = io.open '/proc/self/stat'
  local pid = stat:read '*n'
  stat:close()
  return {
    threads = count(('ls /proc/%d/task | wc -l'):format(pid)),
    fds = count(('ls /proc/%d/fd | wc -l'):format(pid)),
    kb = count(("sed -n 's/^VmRSS:[^0-9]*\\([0-9]*\\).*/\\1/p' /proc/%d/status"):format(pid)),
  }
end

after_each(function() neap.close(2) end)

describe('tick', function()
  it('runs what is ready and says when the next timer is due', function()
    local seen = {}
    neap.go(function()
      seen[#seen + 1] = 'ran'
      neap.sleep(0.05)
      seen[#seen + 1] = 'woke'
    end)
    local left = neap.tick()
    assert.same({ 'ran' }, seen)
    assert.is_true(left > 0 and left <= 0.05)
    assert.is_true(is_readable(neap.wake_fd(), 1000))
    assert.is_nil(neap.tick())
    assert.same({ 'ran', 'woke' }, seen)
  end)

  it('stops at the first yield after its budget and runs the rest next time', function()
    local steps = 0
    neap.go(function()
      for _ = 1, 1000 do
        steps = steps + 1
        local stop = neap.now() + 0.0005
        while neap.now() < stop do end
        neap.yield()
      end
    end)
    local before = neap.now()
    assert.equal(0, neap.tick(0.005))
    assert.is_true(neap.now() - before < 0.1)
    assert.is_true(steps > 1 and steps < 500)
  end)

  it('raises what nobody caught, then goes on', function()
    neap.go(function() error 'lost' end)
    local e = raises('error', neap.tick)
    assert.matches('lost', e.message)
    assert.is_nil(neap.tick())
  end)

  it('refuses to run inside a task', function()
    neap.run(function() raises('state', neap.tick) end)
  end)

  it('takes seconds only', function() raises('argument', neap.tick, 'fast') end)
end)

describe('wake_fd', function()
  it('is quiet while there is nothing to do', function()
    neap.tick()
    assert.is_false(is_readable(neap.wake_fd()))
  end)

  it('is readable when the host itself made a task ready', function()
    local fd, ch = neap.wake_fd(), neap.channel(1)
    local got
    neap.go(function() got = ch:recv() end)
    assert.is_true(is_readable(fd))
    neap.tick()
    assert.is_false(is_readable(fd))
    ch:try_send 'x'
    assert.is_true(is_readable(fd))
    neap.tick()
    assert.equal('x', got)
  end)

  it('is readable when a worker has an answer', function()
    local fd, answer = neap.wake_fd(), nil
    local task = neap.spawn(function() return 42 end)
    neap.go(function() answer = task:join() end)
    local stop = neap.now() + 10
    while not answer and neap.now() < stop do
      neap.tick()
      is_readable(fd, 1000)
    end
    assert.equal(42, answer)
  end)

  it('notices a timer that is armed after the turn', function()
    local fd = neap.wake_fd()
    neap.tick()
    neap.background():with_timeout(0.02)
    assert.is_false(is_readable(fd))
    assert.is_true(is_readable(fd, 1000))
    neap.tick()
    assert.is_false(is_readable(fd))
  end)
end)

describe('configure{wait=}', function()
  after_each(function() neap.configure { wait = false } end)

  it('is how blocking calls outside any task sleep', function()
    local calls = 0
    neap.configure { wait = function(fd, seconds)
      calls = calls + 1
      is_readable(fd, seconds and seconds * 1000 + 1 or -1)
    end }
    neap.sleep(0.02)
    assert.equal(7, (neap.spawn(function()
      require 'neap'.sleep(0.02)
      return 7
    end):join()))
    assert.is_true(calls >= 2)
  end)

  it('may raise: the call is given up and the next one works', function()
    neap.configure { wait = function() error 'closing time' end }
    local ok, e = pcall(neap.sleep, 10)
    assert.is_false(ok)
    assert.matches('closing time', tostring(e))
    neap.configure { wait = false }
    assert.equal(8, (neap.spawn(function() return 8 end):join()))
  end)

  it('must not turn the loop itself', function()
    neap.configure { wait = function() neap.tick() end }
    local ok, e = pcall(neap.sleep, 1)
    assert.is_false(ok)
    assert.equal('state', e.kind)
  end)
end)

-- Their code is text: busted gives functions of a spec globals of their own.
describe('a worker in a host', function()
  local lines
  before_each(function()
    lines = {}
    _G.print = function(text) lines[#lines + 1] = text end
  end)
  after_each(function() _G.print = print end)

  it('prints through the host, whole lines in order, with the next turn', function()
    neap.spawn(loadstring [[
      print('one', 1)
      io.write('tw', 'o\nthr')
      io.stdout:write 'ee\n'
    ]]):join()
    neap.tick()
    assert.same({ 'one\t1', 'two', 'three' }, lines)
  end)

  it('loses lines, not memory, when the host never looks', function()
    local task = neap.spawn(loadstring [[for _ = 1, 3000 do print(('x'):rep(1000)) end]])
    while task:status() == 'running' do is_readable(neap.wake_fd(), 1) end
    neap.tick()
    assert.is_true(#lines > 1000 and #lines < 1100)
    assert.matches('lines of workers were lost', lines[#lines])
  end)

  local REFUSED = {
    ['os.exit'] = function() os.exit(3) end, ['os.setlocale'] = function() os.setlocale 'C' end,
    ['os.execute'] = function() os.execute 'true' end, ['io.read'] = function() io.read() end,
    ['io.popen'] = function() io.popen 'true' end, ['io.lines'] = function() io.lines() end,
    ['io.stdin'] = function() io.stdin:read() end,
  }
  for name, fn in pairs(REFUSED) do
    it('has no ' .. name, function()
      local e = raises('state', function() neap.spawn({ isolated = true }, fn):join() end)
      assert.matches('in a worker of a guest', e.message)
    end)
  end

  it('loads no C module and says why', function()
    local e = raises('error', function()
      neap.spawn({ isolated = true }, function() require 'lfs' end):join()
    end)
    assert.matches("guest's workers load none", e.message)
  end)

  it('still opens files', function()
    assert.equal('x', (neap.spawn(function()
      local name = os.tmpname()
      local file = io.open(name, 'w')
      file:write 'x'
      file:close()
      local next_line = io.lines(name)
      os.remove(name)
      return (next_line())
    end):join()))
  end)
end)

describe('close', function()
  it('gives a fresh engine to the next call; old handles raise closed', function()
    local ch, ctx, cell = neap.channel(2), neap.background():with_cancel(), neap.atomic(1)
    ch:send 'old'
    local view = ch:receive_only()
    local spawned = neap.spawn(function() return 1 end)
    spawned:join()
    local stuck = neap.go(function() while true do pcall(neap.sleep, 10) end end)
    neap.tick()
    assert.is_true(neap.close(0))
    raises('closed', function() ch:send(1) end)
    raises('closed', function() ctx:cancel() end)
    raises('closed', function() cell:load() end)
    raises('closed', function() spawned:join() end)
    raises('closed', function() stuck:join() end)
    assert.same({ nil, false }, { view:recv() })
    assert.equal(2, (neap.spawn(function() return 2 end):join()))
    local fresh = neap.channel(1)
    fresh:send(3)
    assert.equal(3, (fresh:recv()))
    assert.is_nil(neap.background():err())
  end)

  it('lets tasks unwind first: what they deferred has run', function()
    local seen = {}
    neap.go(function()
      neap.defer(function() seen[#seen + 1] = 'deferred' end)
      neap.sleep(100)
    end)
    neap.spawn(loadstring [[
      local neap = require 'neap'
      neap.defer(function() print 'worker deferred' end)
      neap.sleep(100)
    ]])
    _G.print = function(text) seen[#seen + 1] = text end
    neap.tick()
    neap.sleep(0.05)
    local clean = neap.close(5)
    _G.print = print
    assert.is_true(clean)
    table.sort(seen)
    assert.same({ 'deferred', 'worker deferred' }, seen)
  end)

  it('leaves a worker behind that would not come, on time', function()
    neap.spawn(function()
      local n = 0
      while true do n = n + 1 end
    end)
    neap.sleep(0.05)
    local before = neap.now()
    assert.is_false(neap.close(0.2))
    assert.is_true(neap.now() - before < 2)
    assert.equal(5, (neap.spawn(function() return 5 end):join()))
  end)

  it('may be called twice and with nothing open, but not in a task', function()
    assert.is_true(neap.close())
    assert.is_true(neap.close())
    neap.run(function() raises('state', neap.close) end)
  end)

  it('a thousand rounds leave nothing behind', function()
    local rounds = helper.quick and 100 or 1000
    local function round()
      neap.configure { workers = 2 }
      assert.equal(1, (neap.spawn(function() return 1 end):join()))
      local ch = neap.channel(4)
      ch:send(1)
      neap.go(function() ch:recv() neap.sleep(100) end)
      neap.tick()
      assert(neap.close(2))
    end
    for _ = 1, 20 do round() end
    collectgarbage()
    local before = used()
    for _ = 1, rounds do round() end
    collectgarbage()
    local after = used()
    assert.equal(before.threads, after.threads)
    assert.equal(before.fds, after.fds)
    assert.is_true(after.kb - before.kb < 2048, ('%d KB more'):format(after.kb - before.kb))
  end)
end)

describe('a forked child', function()
  local function in_child(fn)
    local pid = ffi.C.fork()
    if pid == 0 then
      local ok, e = pcall(fn)
      if not ok then io.stderr:write(tostring(e), '\n') end
      ffi.C._exit(ok and 0 or 1)
    end
    local status = ffi.new 'int[1]'
    ffi.C.waitpid(pid, status, 0)
    return status[0]
  end

  it('is told so, may close, and then has an engine of its own', function()
    assert.equal(4, (neap.spawn(function() return 4 end):join()))
    assert.equal(0, in_child(function()
      local ok, e = pcall(neap.sleep, 0.01)
      assert(not ok and e.kind == 'state' and e.message:find 'forked', tostring(e))
      assert(not pcall(neap.spawn, print))
      assert(not pcall(neap.wake_fd))
      assert(neap.close())
      assert(neap.spawn(function() return 9 end):join() == 9)
      neap.sleep(0.001)
      assert(neap.close())
    end))
    assert.equal(6, (neap.spawn(function() return 6 end):join()))
  end)
end)

describe('a process', function()
  local BUSY = [[
    local neap = require 'neap'
    neap.spawn(function() while true do neap.sleep(0.001) end end)
    neap.spawn(function() local n = 0 while true do n = n + 1 end end)
    neap.go(function() neap.sleep(100) end)
    local ch = neap.channel(1)
    ch:send { 'never received' }
    local ctx = neap.background():with_timeout(1000)
    neap.tick()
  ]]
  local ENDS = {
    { 'that just ends', '', 0 },
    { 'that raises', 'error "boom"', 1 },
    { 'that exits', 'os.exit(7)', 7 },
    { 'that exits and closes its state', 'os.exit(8, true)', 8 },
    { 'that drops the module', [[
      for name in pairs(package.loaded) do
        if name:find '^neap' then package.loaded[name] = nil end
      end
      neap, ch, ctx = nil
      collectgarbage() collectgarbage()
    ]], 0 },
    { 'that closes', 'neap.close(0.01)', 0 },
  }
  local rounds = helper.quick and 5 or 34 -- Six ways: 204 in all.

  for _, case in ipairs(ENDS) do
    it(case[1] .. ' with tasks running ends clean', function()
      local name = os.tmpname()
      local file = io.open(name, 'w')
      file:write(BUSY, case[2])
      file:close()
      for _ = 1, rounds do
        local status = os.execute(('luajit %s >/dev/null 2>&1'):format(name))
        assert.equal(case[3] * 256, status)
      end
      os.remove(name)
    end)
  end

  it('that drops the module ends the engine, and may load another', function()
    local name = os.tmpname()
    local file = io.open(name, 'w')
    file:write [[
      local function threads()
        local file = io.open '/proc/self/status'
        local count = file:read '*a':match 'Threads:%s*(%d+)'
        file:close()
        return count
      end
      local function round()
        local neap = require 'neap'
        neap.spawn(function() return 1 end):join()
        neap.go(function() neap.sleep(100) end)
        neap.tick()
      end
      for _ = 1, 5 do
        round()
        for name in pairs(package.loaded) do
          if name:find '^neap' then package.loaded[name] = nil end
        end
        collectgarbage() collectgarbage() collectgarbage()
        io.write(threads(), ' ')
      end
    ]]
    file:close()
    local pipe = io.popen('luajit ' .. name .. ' 2>&1')
    assert.equal('1 1 1 1 1 ', pipe:read '*a')
    pipe:close()
    os.remove(name)
  end)

  it('that opens and closes Lua states keeps nothing of theirs', function()
    ffi.cdef [[
      typedef struct lua_State spec_state;
      spec_state *luaL_newstate(void); void luaL_openlibs(spec_state *L);
      int luaL_loadstring(spec_state *L, const char *s);
      int lua_pcall(spec_state *L, int, int, int);
      void lua_close(spec_state *L);
    ]]
    local code = ([[
      package.path, package.cpath = %q, %q
      local neap = require 'neap'
      neap.configure { workers = 1 }
      neap.spawn(function() return 1 end):join()
      kept = { neap.channel(1), neap.background():with_timeout(100), neap.atomic(1) }
      neap.go(function() neap.sleep(100) end)
      neap.tick()
    ]]):format(package.path, package.cpath)
    local function round()
      local L = ffi.C.luaL_newstate()
      ffi.C.luaL_openlibs(L)
      assert.equal(0, ffi.C.luaL_loadstring(L, code))
      assert.equal(0, ffi.C.lua_pcall(L, 0, 0, 0))
      ffi.C.lua_close(L)
    end
    for _ = 1, 5 do round() end
    local before = used()
    for _ = 1, helper.quick and 20 or 100 do round() end
    local after = used()
    assert.equal(before.threads, after.threads)
    assert.equal(before.fds, after.fds)
    assert.is_true(after.kb - before.kb < 4096, ('%d KB more'):format(after.kb - before.kb))
  end)
end)

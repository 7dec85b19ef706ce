--- What the library leaves alone in a host's process: symbols, signals, locale, folder, standard
--- streams, threads and descriptors before they are needed, the host's own Lua.
local helper = require 'spec_helper'

local library = os.getenv 'NEAP_LIB' or './build/release/libneap.so'

local function lines_of(command)
  local list, pipe = {}, io.popen(command)
  for line in pipe:lines() do list[#list + 1] = line end
  pipe:close()
  return list
end

-- Runs Lua in a fresh stock LuaJIT; what it prints, and how it ends.
local function in_host(code, prefix)
  local name = os.tmpname()
  local file = io.open(name, 'w')
  file:write(code)
  file:close()
  local pipe = io.popen(('%s luajit %s 2>&1; echo "status $?"'):format(prefix or '', name))
  local text = pipe:read '*a'
  pipe:close()
  os.remove(name)
  return text
end

describe('libneap.so', function()
  it('exports neap_ and npl_ only', function()
    local names = lines_of(('nm -D --defined-only %s | awk \'{print $3}\''):format(library))
    assert.is_true(#names > 50)
    for _, name in ipairs(names) do assert.matches('^n[ep][al]p?_', name) end
  end)

  it('stays in memory when the last handle on it goes', function()
    local flags = table.concat(lines_of(('readelf -d %s | grep FLAGS'):format(library)), ' ')
    assert.matches('NODELETE', flags)
    assert.matches('NOW', flags)
  end)

  it('keeps no mutable state of ours', function()
    if not library:find 'release' then return end
    -- Private copies of LuaJIT and libuv have some; our rooms have none.
    local names = lines_of [=[
      cd build/release && for room in base value csp sync sched script io graph watch bind embed; do
        [ -e libnp_$room.a ] && objdump -t libnp_$room.a
      done | grep -E ' O (\.data|\.bss|\.tbss|\.tdata|\*COM\*)[[:space:]]' | awk '{print $NF}']=]
    assert.same({}, names)
  end)
end)

if helper.loop ~= 'host' then return end

describe('a host that loads neap', function()
  local USED = [[
    local function used()
      local function count(what)
        local pid = io.open('/proc/self/stat'):read '*n'
        local pipe = io.popen(('ls /proc/%d/%s | wc -l'):format(pid, what))
        local n = pipe:read '*n'
        pipe:close()
        return n
      end
      return count 'task', count 'fd'
    end
  ]]

  it('has no thread of ours before something is spawned', function()
    local text = in_host(USED .. [[
      local neap = require 'neap'
      local ch = neap.channel(1)
      neap.run(function() neap.go(function() ch:send(1) end) ch:recv() neap.sleep(0.001) end)
      print((used()))
    ]])
    assert.equal('1\nstatus 0\n', text)
  end)

  it('keeps its signals, its locale and its folder', function()
    local text = in_host [[
      local function state()
        local file = io.open '/proc/self/status'
        local all = file:read '*a'
        file:close()
        local pipe = io.popen('readlink /proc/' .. all:match 'Pid:%s*(%d+)' .. '/cwd')
        local folder = pipe:read '*a'
        pipe:close()
        -- Without 32 and up: the C library takes two for itself with the first thread.
        local function low(name) return all:match(name .. ':%s*%x*(%x%x%x%x%x%x%x%x)') end
        local masks = low 'SigBlk' .. low 'SigIgn' .. low 'SigCgt'
        return table.concat({ masks, os.setlocale(), folder }, ' ')
      end
      local before = state()
      local neap = require 'neap'
      neap.spawn(function() return 1 end):join()
      neap.tick()
      neap.wake_fd()
      print(state() == before and 'same' or before .. state())
      neap.close()
      print(state() == before and 'same' or before .. state())
    ]]
    assert.equal('same\nsame\nstatus 0\n', text)
  end)

  it('keeps its globals, and what is in its libraries', function()
    local text = in_host [[
      local seen = {}
      local function note(t, name)
        for key, value in pairs(t) do seen[name .. tostring(key)] = value end
      end
      local function note_all()
        local names = { 'os', 'io', 'string', 'table', 'math', 'coroutine', 'debug' }
        for _, name in ipairs(names) do note(_G[name], name) end
        note(_G, '')
      end
      note_all()
      local neap = require 'neap'
      neap.run(function() neap.spawn(function() return 1 end):join() end)
      local before = seen
      seen = {}
      note_all()
      before.tableclear = seen.tableclear -- LuaJIT's own, there once anybody has required it.
      for key, value in pairs(seen) do if before[key] ~= value then print(key) end end
    ]]
    assert.equal('status 0\n', text)
  end)

  it('may have its standard streams closed', function()
    local text = in_host([[
      local neap = require 'neap'
      local ffi = require 'ffi'
      ffi.cdef 'int fcntl(int fd, int command, ...);'
      assert(neap.spawn(function() return 1 end):join() == 1)
      assert(neap.wake_fd() > 2)
      assert(ffi.C.fcntl(0, 1) == -1)
      neap.close()
      os.exit(0)
    ]], 'exec 0<&-;')
    assert.equal('status 0\n', text)
  end)

  it('gives its children none of our descriptors', function()
    local text = in_host [[
      local neap = require 'neap'
      neap.spawn(function() return 1 end):join()
      neap.wake_fd()
      local pipe = io.popen 'ls -l /proc/self/fd'
      for line in pipe:lines() do
        if line:find 'event' or line:find 'timerfd' then print(line) end
      end
    ]]
    assert.equal('status 0\n', text)
  end)

  it('gets signals itself: workers block them', function()
    local text = in_host [[
      local neap = require 'neap'
      neap.configure { workers = 2 }
      neap.spawn(function() return 1 end):join()
      local stat = io.open '/proc/self/stat'
      local pid = stat:read '*n'
      stat:close()
      local pipe = io.popen('grep -h SigBlk /proc/' .. pid .. '/task/*/status')
      for line in pipe:lines() do
        local low = tonumber(line:match '(%x%x%x%x%x%x%x%x)$', 16)
        print(low >= 0x4000 and 'blocks' or 'open') -- 0x4000: SIGTERM
      end
    ]]
    assert.equal('open\nblocks\nblocks\nstatus 0\n', text)
  end)
end)

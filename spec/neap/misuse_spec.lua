--- Misuse: errors of kind argument or state that name the caller's line, what was wrong and,
--- where it can be guessed, what was meant.
local neap = require 'neap'
local support = require 'behavior.support'

-- Calls `fn`, which must raise `kind`; the message or `where` must name this file.
local function misuse(kind, fn, ...)
  local e = support.raises(kind, fn, ...)
  local text = e.message .. ' ' .. tostring(e.where)
  if not text:find('misuse_spec.lua:%d+') then error('blames another line: ' .. text, 2) end
  return e.message
end

local function line() return debug.getinfo(2, 'l').currentline end

describe('misuse', function()
  it('blames the caller’s line', function()
    local at
    local message = misuse('argument', function()
      at = line() + 1
      local ch = neap.channel(-1)
      return ch
    end)
    assert.matches(('misuse_spec.lua:%d: '):format(at), message)
    assert.matches("bad argument #1 'capacity' to 'channel'", message)
    assert.matches('expected an integer from 0 to %d+, got %-1', message)
  end)

  it('names the nearest method', function()
    local ch, ctx = neap.channel(1), neap.context()
    local task = neap.go(function() end)
    task:wait()
    local rows = {
      { function() ch:recieve() end, '`recieve`', 'recv' },
      { function() ch:snd(1) end, '`snd`', 'send' },
      { function() ch:closed() end, '`closed`', 'close' },
      { function() ctx:with_timout(1) end, '`with_timout`', 'with_timeout' },
      { function() task:cancl() end, '`cancl`', 'cancel' },
      { function() neap.group():og(print) end, '`og`', 'go' },
      { function() neap.chanel() end, '`chanel`', 'channel' },
      { function() neap.selct {} end, '`selct`', 'select' },
      { function() neap.atomic():swp(1) end, '`swp`', 'swap' },
      { function() ch:receive_only():recvv() end, '`recvv`', 'recv' },
      { function() neap.test.buble(print) end, '`buble`', 'bubble' },
    }
    for index, row in ipairs(rows) do
      local message = misuse('argument', row[1])
      assert.is_truthy(message:find(row[2], 1, true), index .. ': ' .. message)
      assert.is_truthy(message:find(row[3], 1, true), index .. ': ' .. message)
    end
  end)

  it('names the nearest option', function()
    local rows = {
      { function() neap.channel(1, { overflw = 'block' }) end, 'overflow' },
      { function() neap.channel(1, { overflow = 'drop-new' }) end, 'drop_new' },
      { function() neap.channel(1, { overflow = 7 }) end, 'got 7' },
      { function() neap.go({ isolate = true }, print) end, 'isolated' },
      { function() neap.spawn({ workers = 1 }, print) end, 'worker' },
      { function() neap.group { limits = 1 } end, 'limit' },
      { function() neap.configure { worker = 1 } end, 'workers' },
      { function() neap.test.bubble(print, { seeds = 1 }) end, 'seed' },
    }
    for index, row in ipairs(rows) do
      local message = misuse('argument', row[1])
      assert.is_truthy(message:find(row[2], 1, true), index .. ': ' .. message)
    end
  end)

  it('send(nil) names neap.null and close', function()
    local ch = neap.channel(1, { name = 'jobs' })
    for _, method in ipairs { 'send', 'try_send' } do
      local message = misuse('argument', function() ch[method](ch, nil) end)
      assert.matches('channel jobs', message)
      assert.matches('neap%.null', message)
      assert.matches('close', message)
    end
    assert.equal(0, ch:len())
  end)

  it('dst:send(src:recv()) is found out, with a hint', function()
    local src, dst = neap.channel(1), neap.channel(1)
    src:send 'v'
    local message = misuse('argument', function() dst:send(src:recv()) end)
    assert.matches('%(src:recv%(%)%)', message)
    assert.matches('got true', message)
    assert.equal(0, dst:len())
    src:send 'w'
    assert.is_true(dst:send((src:recv())))
  end)

  it('a nil hole in a select suggests false', function()
    local ch = neap.channel(1)
    for _, cases in ipairs { { nil, ch }, { ch, nil, ch }, { ch, nil, nil, ch } } do
      local message = misuse('argument', function() neap.select(cases) end)
      assert.matches('case %d is nil', message)
      assert.matches('false', message)
    end
  end)

  it('other cases of a select are explained', function()
    local ch = neap.channel(1)
    for _, case in ipairs { 'x', 7, true, print, {} } do
      local message = misuse('argument', function() neap.select { ch, case } end)
      assert.matches('case 2 is a ' .. type(case), message)
      assert.matches('sending', message)
    end
    misuse('argument', function() neap.select(ch) end)
  end)

  it('timeouts and times must be times', function()
    local ch = neap.channel(1)
    for _, timeout in ipairs { -1, 'soon', 0 / 0, {} } do
      misuse('argument', function() ch:recv(timeout) end)
      misuse('argument', function() ch:send(1, timeout) end)
      misuse('argument', function() neap.select { ch, timeout = timeout } end)
      misuse('argument', function() neap.with_timeout(timeout, print) end)
    end
    misuse('argument', function() neap.sleep 'long' end)
    misuse('argument', function() neap.sleep() end)
    assert.equal(0, ch:len())
  end)

  it('functions must be functions', function()
    for _, call in ipairs {
      neap.run, neap.scope, neap.shield, neap.go, neap.spawn, neap.test.bubble,
    } do
      assert.matches('expected a function', misuse('argument', function() call(7) end))
    end
    for _, call in ipairs {
      function() neap.with_timeout(1, {}) end, function() neap.context():after 'x' end,
    } do
      assert.matches('expected a function', misuse('argument', call))
    end
  end)

  it('a `.` instead of a `:` is an error', function()
    local ch = neap.channel(1)
    assert.is_false((pcall(ch.send, 1)))
    assert.is_false((pcall(ch.recv)))
    misuse('argument', function() neap.context().with_cancel() end)
  end)

  it('what cannot travel names the way to it', function()
    local item = { job = { options = { logger = coroutine.create(print) } } }
    local ch = neap.channel(1, { shared = true })
    assert.matches('job%.options%.logger', misuse('unsendable', function() ch:send(item) end))
    assert.matches('item', misuse('unsendable', function()
      neap.spawn(function() return item end)
    end))
    local message = misuse('unsendable', function() neap.spawn(print, item) end)
    assert.matches('job%.options%.logger', message)
  end)

  it('a global that the other worker does not have is explained there', function()
    rawset(_G, 'my_global', 7)
    local e
    neap.run(function()
      -- luacheck: globals my_global
      local task = neap.spawn({ isolated = true }, function() return my_global + 1 end)
      e = support.raises('unsendable', task.join, task)
    end)
    rawset(_G, 'my_global', nil)
    assert.matches('my_global', e.message)
    assert.matches('local', e.message)
  end)

  it('closing twice, canceling what cannot be, settling outside: state or closed', function()
    local ch = neap.channel()
    ch:close()
    misuse('closed', function() ch:close() end)
    misuse('closed', function() ch:send(1) end)
    misuse('state', function() neap.background():with_value('k', 1):cancel() end)
    misuse('state', function() neap.test.settle() end)
  end)
end)

--- Deadlocks, uncaught errors, the count of tasks: conformance.md section 11.
local neap = require 'neap'
local support = require 'behavior.support'
local raises, command = support.raises, support.command

local NOT_APPLICABLE = {
  ['DL-03'] = 'no Goexit',
  ['DL-06'] = 'signal listeners have specs of their own (spec/behavior/signal)',
  ['DL-11'] = 'misuse of sync objects is an error like any other; see their specs',
  ['DL-12'] = 'no Goexit',
}

local function recv_forever() neap.channel(0, { name = 'jobs' }):recv() end

local WAITS = {
  { 'select', function() neap.select {} end },
  { 'recv', recv_forever },
  { 'send', function() neap.channel():send(1) end },
  { 'join', function()
    local ch = neap.channel()
    neap.go(function() ch:recv() end):join()
  end },
  { 'context', function() neap.select { neap.background():with_cancel() } end },
  { 'scope', function() neap.go(recv_forever) end },
}

describe('deadlock', function()
  it('DL-01: an error of kind deadlock out of run, whatever main waits for', function()
    for _, wait in ipairs(WAITS) do
      local e = raises('deadlock', neap.run, wait[2])
      assert.matches('all tasks wait', e.message, wait[1])
      assert.is_true(#e.tasks >= 1)
    end
  end)

  it('DL-01: in a bubble too', function()
    for _, wait in ipairs(WAITS) do raises('deadlock', neap.test.bubble, wait[2]) end
  end)

  it('DL-01: lists every task with what it waits for and where', function()
    local e = raises('deadlock', neap.run, function()
      local ch = neap.channel()
      neap.go({ name = 'reader' }, function() ch:recv() end)
      neap.go({ name = 'chooser' }, function() neap.select { ch, neap.channel() } end)
      ch:recv()
    end)
    local found = {}
    for _, row in ipairs(e.tasks) do found[row.name] = row end
    assert.equal('recv', found.reader.waits_for)
    assert.equal('select', found.chooser.waits_for)
    assert.matches('deadlock_spec.lua:%d+', found.reader.where)
    assert.matches('reader recv', e.message)
    assert.matches('chooser select', e.message)
  end)

  it('DL-01: the tasks unwind, and the engine goes on', function()
    local unwound = 0
    raises('deadlock', neap.run, function()
      for _ = 1, 3 do
        neap.go(function()
          neap.defer(function() unwound = unwound + 1 end)
          recv_forever()
        end)
      end
    end)
    assert.equal(3, unwound)
    assert.equal('v', (neap.run(function() return 'v' end)))
  end)

  it('DL-01: found across workers', function()
    local e = raises('deadlock', neap.run, function()
      local a, b = neap.channel(), neap.channel()
      neap.spawn(function() b:send((a:recv())) end)
      b:recv()
    end)
    assert.matches('all tasks wait', e.message)
  end)

  it('DL-01: the command ends with status 2', function()
    local out, status = command [[
      local neap = require 'neap'
      neap.go({ name = 'reader' }, function() neap.channel():recv() end)
      neap.channel():recv()]]
    assert.equal(2, status)
    assert.matches('^neap: deadlock: all tasks wait', out)
    assert.matches('reader', out)
  end)

  it('DL-02: the same with tasks bound to workers', function()
    raises('deadlock', neap.run, function()
      local ch = neap.channel()
      neap.spawn({ worker = 1 }, function() ch:recv() end)
    end)
  end)

  it('DL-04: no report while a sleep or a timeout is pending; then there is one', function()
    local woke = false
    local before = neap.now()
    raises('deadlock', neap.run, function()
      neap.go(function()
        neap.sleep(0.05)
        woke = true
      end)
      recv_forever()
    end)
    assert.is_true(woke)
    assert.is_true(neap.now() - before >= 0.05)
    local first
    raises('deadlock', neap.run, function()
      local ch = neap.channel()
      first = select('#', ch:recv(0.02))
      ch:recv()
    end)
    assert.equal(2, first)
  end)

  it('DL-05: a timer that was stopped hides nothing', function()
    raises('deadlock', neap.run, function()
      local ch = neap.channel(1)
      neap.go(function() ch:recv(1000) end)
      neap.yield()
      ch:send(1)
      neap.background():with_timeout(1000):cancel()
      neap.yield()
      ch:recv()
    end)
  end)

  it('DL-07: parked tasks beside one that runs are no deadlock, but visible', function()
    neap.run(function()
      local ch = neap.channel()
      local stuck = neap.go({ name = 'stuck' }, function() ch:recv() end)
      for _ = 1, 100 do neap.yield() end
      local seen
      for _, row in ipairs(neap.tasks()) do seen = seen or row.name == 'stuck' and row end
      assert.equal('waiting', seen.state)
      assert.equal('recv', seen.waits_for)
      stuck:cancel()
    end)
  end)

  it('DL-08: an uncaught error of any task: status 1, message, task and traceback', function()
    local out, status = command [[
      local neap = require 'neap'
      neap.go({ name = 'loader' }, function()
        neap.sleep(0.01)
        error 'boom'
      end)
      neap.sleep(100)
      print 'not reached']]
    assert.equal(1, status)
    assert.matches('^neap: error: %(%-e%):4: boom\n', out)
    assert.matches('in task loader', out)
    assert.matches('at %(%-e%):4: in function', out)
    assert.is_nil(out:find 'not reached')
  end)

  it('DL-08: the same from another worker', function()
    local out, status = command [[
      local neap = require 'neap'
      neap.spawn({ name = 'loader' }, function() error { message = 'boom' } end)
      neap.sleep(100)]]
    assert.equal(1, status)
    assert.matches('^neap: error: boom\n', out)
    assert.matches('in task loader', out)
  end)

  it('DL-09: clean-up of the raising task runs, in reverse', function()
    local out = command [[
      local neap = require 'neap'
      neap.defer(print, 'main')
      neap.go(function()
        neap.defer(print, 'first')
        neap.defer(print, 'second')
        error 'boom'
      end)
      neap.sleep(100)]]
    assert.matches('^second\nfirst\nmain\nneap: error', out)
  end)

  it('DL-10: an error that races with the end of main always wins', function()
    for _ = 1, support.quick and 20 or 200 do
      raises('error', neap.run, function()
        neap.go(function() error 'boom' end)
      end)
      raises('error', neap.run, function()
        local gate = neap.channel()
        neap.spawn(function()
          gate:send(true)
          error 'boom'
        end)
        gate:recv()
      end)
    end
  end)

  it('DL-13: follow-up errors are listed after the first, each once', function()
    local e = raises('error', neap.run, function()
      neap.go(function()
        neap.defer(function() error 'follow-up' end)
        error 'original'
      end):join()
    end)
    assert.matches('original', e.message)
    assert.matches('follow%-up', e.also[1].message)
    local text = e:report()
    assert.is_true(text:find 'original' < text:find 'follow%-up')
    local ok, rethrown = pcall(neap.run, function()
      local fine, inner = pcall(neap.run, error, 'once')
      error(fine and 'none' or inner, 0)
    end)
    assert.is_false(ok)
    local _, times = rethrown:report():gsub('once', '')
    assert.equal(1, times)
  end)

  it('DL-14: a task of nil; recursion without end', function()
    raises('argument', neap.go, nil)
    local function recurse(n) return 1 + recurse(n + 1) end
    local task
    local e = raises('error', neap.run, function()
      task = neap.go(recurse, 1)
      neap.sleep(1000)
    end)
    assert.matches('stack overflow', e.message)
    assert.equal('failed', task:status())
  end)

  it('DL-15: the count of tasks is exact', function()
    neap.run(function()
      local COUNT = support.quick and 1000 or 100000
      local before = neap.stats().tasks
      local gate = neap.channel()
      for _ = 1, COUNT do neap.go(function() gate:recv() end) end
      neap.yield()
      assert.equal(before + COUNT, neap.stats().tasks)
      assert.equal(before + COUNT, #neap.tasks())
      gate:close()
      for _ = 1, 5 do neap.yield() end
      assert.equal(before, neap.stats().tasks)
      assert.equal(before, #neap.tasks())
    end)
  end)

  it('covers section 11', function()
    support.covers('spec/behavior/deadlock_spec.lua', 'DL', 15, NOT_APPLICABLE)
  end)
end)

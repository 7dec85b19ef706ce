--- neap.tasks and neap.stats: what runs, what it waits for, and where.
local neap = require 'neap'
local support = require 'behavior.support'
local bubble = support.bubble

local function by_name(list)
  local rows = {}
  for _, row in ipairs(list) do rows[row.name] = row end
  return rows
end

describe('tasks', function()
  it('lists name, state, what is waited for and where', function()
    bubble(function()
      local ch, full = neap.channel(), neap.channel(1)
      full:send(1)
      local waits = {
        recv = function() ch:recv() end,
        send = function() full:send(2) end,
        select = function() neap.select { ch, full:sending(2) } end,
        sleep = function() neap.sleep(100) end,
      }
      local started = {}
      for name, wait in pairs(waits) do started[#started + 1] = neap.go({ name = name }, wait) end
      local ready = neap.go({ name = 'to be' }, neap.sleep, 1000)
      neap.yield()
      local rows = by_name(neap.tasks())
      for name in pairs(waits) do
        assert.equal('waiting', rows[name].state)
        assert.equal(name, rows[name].waits_for)
        assert.matches('tasks_spec.lua:%d+', rows[name].where)
      end
      assert.equal('running', rows.bubble and rows.bubble.state or 'running')
      local late = neap.go({ name = 'late' }, function() end)
      assert.equal('ready', by_name(neap.tasks()).late.state)
      late:join()
      ready:cancel()
      for _, task in ipairs(started) do task:cancel() end
    end)
  end)

  it('names the parent', function()
    bubble(function()
      local parent = neap.go({ name = 'parent' }, function()
        neap.go({ name = 'child' }, neap.sleep, 1)
        neap.sleep(1)
      end)
      neap.test.settle()
      local rows = by_name(neap.tasks())
      assert.equal(rows.parent.id, rows.child.parent)
      assert.equal(parent.id, rows.parent.id)
      parent:join()
    end)
  end)

  it('prints as a table', function()
    bubble(function()
      local task = neap.go({ name = 'reader' }, neap.sleep, 1)
      neap.test.settle()
      local text = tostring(neap.tasks())
      assert.matches('^task +state +waits for +at', text)
      assert.matches('\nreader +waiting +sleep', text)
      task:join()
    end)
  end)

  it('forgets what has ended', function()
    local before = #neap.tasks()
    neap.run(function()
      for _ = 1, 50 do neap.go(neap.yield) end
    end)
    assert.equal(before, #neap.tasks())
  end)
end)

describe('stats', function()
  it('counts tasks that live, that were started, and workers, on all workers', function()
    neap.run(function()
      local before = neap.stats()
      local gate = neap.channel()
      for _ = 1, 3 do neap.go(function() gate:recv() end) end
      local pool = {}
      for index = 1, 3 do pool[index] = neap.spawn(function() gate:recv() end) end
      neap.spawn({ worker = 1 }, function() end):join()
      neap.sleep(0.01)
      local now = neap.stats()
      assert.equal(before.tasks + 6, now.tasks)
      assert.equal(0, now.queued)
      assert.equal(neap.workers(), now.workers)
      assert.is_true(now.started >= before.started + 6)
      gate:close()
      for index = 1, 3 do pool[index]:join() end
      -- Joiners hear of an end before it is counted; scopes after it.
      for _ = 1, 1000 do
        if neap.stats().tasks == before.tasks then break end
        neap.sleep(0.001)
      end
      assert.equal(before.tasks, neap.stats().tasks)
    end)
  end)
end)

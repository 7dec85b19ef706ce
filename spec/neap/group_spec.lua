--- Groups: conformance.md section 5. Runs with each placement: members by go, or in the pool.
local neap = require 'neap'
local support = require 'behavior.support'
local case, raises, D = support.case, support.raises, support.D

local NOT_APPLICABLE = {}

local spread = support.spread
local function add(group, fn, ...)
  if spread then return group:spawn(fn, ...) end
  return group:go(fn, ...)
end
local function try_add(group, fn, ...)
  if spread then return group:try_spawn(fn, ...) end
  return group:try_go(fn, ...)
end

describe('group (placement ' .. (spread and 'spread' or 'one') .. ')', function()
  it('EG-01: wait raises the first error to come, again and again', function()
    case(function()
      local rows = {
        { {}, false }, { { false }, false }, { { 'e1' }, 'e1' }, { { 'e1', false }, 'e1' },
        { { 'e1', false, 'e2' }, 'e1' },
      }
      for _, row in ipairs(rows) do
        local group, expected = neap.group(), false
        for _, failure in ipairs(row[1]) do
          local ok, e
          add(group, function()
            if failure then error(failure, 0) end
          end)
          ok, e = pcall(group.wait, group)
          expected = expected or failure
          assert.equal(not expected, ok)
          if expected then assert.matches(expected, e.message) end
        end
        assert.equal(not row[2], (pcall(group.wait, group)))
      end
    end)
  end)

  it('EG-01: completion counts, not the order of starting', function()
    case(function()
      local group = neap.group { errors = 'all' }
      add(group, function()
        neap.sleep(D)
        error('slow', 0)
      end)
      add(group, function() error('quick', 0) end)
      local e = raises('error', group.wait, group)
      assert.matches('quick', e.cause.message)
      assert.equal(2, #e.also)
      assert.matches('2 tasks of the group failed', e.message)
    end)
  end)

  it('EG-02: its context ends with the first error, else after wait', function()
    case(function()
      local group = neap.group()
      add(group, function() end)
      neap.sleep(D / 10)
      assert.is_false(group:context():is_done())
      group:wait()
      assert.is_true(group:context():is_done())
      group = neap.group()
      local seen = neap.atomic()
      add(group, function()
        local ok, e = pcall(neap.sleep, 1000)
        if not ok and e.kind == 'canceled' then seen:add(1) end
      end)
      add(group, function() error 'boom' end)
      assert.matches('boom', raises('error', group.wait, group).message)
      assert.is_true(group:context():is_done())
      assert.equal(1, seen:load())
    end)
  end)

  it('EG-03: the cause is the first error, or canceled', function()
    case(function()
      local group = neap.group()
      add(group, function() end)
      group:wait()
      assert.equal('canceled', group:context():cause().kind)
      group = neap.group()
      add(group, function() error('boom', 0) end)
      pcall(group.wait, group)
      assert.equal('boom', group:context():cause().message)
    end)
  end)

  it('EG-04: never more than its limit at once; the starter waits', function()
    case(function()
      local COUNT = support.quick and 100 or 1025
      local group, inside, most = neap.group { limit = 10 }, neap.atomic(), neap.atomic()
      for _ = 1, COUNT do
        add(group, function()
          most:max(inside:add(1))
          neap.yield()
          inside:sub(1)
        end)
      end
      group:wait()
      assert.is_true(most:load() <= 10)
      assert.equal(0, inside:load())
    end)
  end)

  it('EG-05: try at the limit; the limit changes only when it is idle', function()
    case(function()
      local group, gate = neap.group { limit = 42 }, neap.channel()
      local function park() gate:recv() end
      for _ = 1, 42 do assert.is_truthy(try_add(group, park)) end
      assert.is_false(try_add(group, park))
      assert.matches('42 tasks', raises('state', group.set_limit, group, 1).message)
      gate:close()
      group:wait()
      assert.is_truthy(try_add(group, function() end))
      group:wait()
      group:set_limit(1)
      local again = neap.channel()
      assert.is_truthy(try_add(group, function() again:recv() end))
      assert.is_false(try_add(group, function() end))
      again:close()
      group:wait()
    end)
  end)

  it('EG-06: limit 0 starts nothing; nil is no limit', function()
    case(function()
      local group = neap.group { limit = 0 }
      for _ = 1, 1024 do assert.is_false(try_add(group, function() end)) end
      local starter = neap.go(function() add(group, function() end) end)
      assert.is_nil((starter:wait(D / 10)))
      starter:cancel()
      starter:wait()
      group:set_limit(nil)
      for _ = 1, 100 do assert.is_truthy(try_add(group, function() end)) end
      group:wait()
      raises('argument', neap.group, { limit = -1 })
      assert.matches('limit', raises('argument', neap.group, { limmit = 1 }).message)
    end)
  end)

  it('EG-04: starters that were canceled, or that wait beside a wait, lose no place', function()
    case(function()
      local group, gate = neap.group { limit = 1 }, neap.channel()
      add(group, function() gate:recv() end)
      local canceled = neap.go(function() add(group, function() end) end)
      local ran = neap.atomic()
      local starter = neap.go(function() add(group, function() ran:add(1) end) end)
      local waiter = neap.go(function() group:wait() end)
      support.settle()
      canceled:cancel()
      canceled:wait()
      gate:send(true)
      starter:join()
      waiter:join()
      group:wait()
      assert.equal(1, ran:load())
    end)
  end)

  it('EG-07: a raised error reaches wait with the task’s own traceback', function()
    case(function()
      local group = neap.group()
      local value = { code = 7 }
      add(group, function() error(value) end)
      local e = raises('error', group.wait, group)
      assert.equal(7, e.value.code)
      assert.matches('group_spec.lua:%d+', e.traceback)
    end)
  end)

  it('does not cancel the scope around it', function()
    case(function()
      assert.equal('untouched', (neap.scope(function()
        local sibling = neap.go(function()
          neap.sleep(D / 10)
          return 'untouched'
        end)
        local group = neap.group()
        add(group, function() error 'boom' end)
        raises('error', group.wait, group)
        return (sibling:join())
      end)))
    end)
  end)

  it('raises at its scope’s end when nobody waited', function()
    case(function()
      local e = raises('error', neap.scope, function()
        add(neap.group(), function() error 'boom' end)
      end)
      assert.matches('boom', e.message)
    end)
  end)

  it('is canceled from around it', function()
    case(function()
      local ended = neap.atomic()
      raises('deadline', neap.with_timeout, D / 10, function()
        local group = neap.group()
        for _ = 1, 3 do
          add(group, function()
            neap.defer(function() ended:add(1) end)
            neap.sleep(1000)
          end)
        end
        group:wait()
      end)
      assert.equal(3, ended:load())
    end)
  end)

  it('covers section 5', function()
    support.covers('spec/neap/group_spec.lua', 'EG', 7, NOT_APPLICABLE)
  end)
end)

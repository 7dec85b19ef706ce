--- Endings: run, start, iter; errors, cancellation, deadlines. placement: in one task and spread.
local neap = require 'neap'
local helper = require 'spec_helper'

local function spread(stage)
  if helper.placement == 'one' then return stage end
  return stage:fan_out(2)
end

local function endless() return spread(neap.range(1, 1e15)):map(function(x) return x end) end

describe('an error in a stage', function()
  it('carries stage, item, place and both tracebacks', function()
    local ok, e = pcall(neap.run, function()
      local boom = function(x) if x == 5 then error 'bad item' end return x end
      return spread(neap.range(1, 10)):map(boom, { name = 'checker' }):sum():run()
    end)
    assert.is_false(ok)
    assert.equal('error', e.kind)
    assert.equal('checker', e.stage)
    assert.equal(5, e.item)
    assert.matches('bad item', e.message)
    assert.matches('job_spec.lua:%d+', e.declared)
    assert.matches('job_spec.lua:%d+', e.traceback)
    assert.matches('checker', e:report())
  end)

  it('keeps the value that was raised', function()
    local ok, e = pcall(neap.run, function()
      return spread(neap.list { 1 }):map(function() error { code = 7 } end):run()
    end)
    assert.is_false(ok)
    assert.equal(7, e.value.code)
  end)

  it('can be caught, and the graph run again', function()
    neap.run(function()
      local calls = neap.atomic()
      local stage = spread(neap.list { 1 }):map(function(x)
        if calls:add(1) == 1 then error 'first' end
        return x
      end)
      assert.is_false((pcall(stage.run, stage)))
      assert.same({ 1 }, stage:run())
    end)
  end)
end)

describe('start', function()
  it('gives a job with a result, a status and figures', function()
    neap.run(function()
      local job = spread(neap.range(1, 1000)):map(function(x) return x end):sum():start()
      assert.equal(500500, (job:wait()))
      assert.equal(500500, (job:wait()))
      assert.equal('done', job:status())
      assert.equal(1000, job:stats().items)
    end)
  end)

  it('waits for a time only', function()
    neap.run(function()
      local job = endless():count():start()
      local result, ok = job:wait(0.02)
      assert.is_nil(result)
      assert.is_false(ok)
      assert.equal('running', job:status())
      job:cancel()
    end)
  end)

  it('ends a canceled job and raises canceled with its cause', function()
    neap.run(function()
      local job = endless():count():start()
      neap.sleep(0.01)
      assert.is_true(job:cancel 'enough')
      local ok, e = pcall(job.wait, job)
      assert.is_false(ok)
      assert.equal('canceled', e.kind)
      assert.equal('canceled', job:status())
    end)
  end)
end)

describe('run', function()
  it('ends at its timeout with kind deadline', function()
    for _, stage in ipairs { endless():count(), endless():sum(), neap.range(1, 1e15):count() } do
      local ok, e = pcall(neap.run, function() return stage:run { timeout = 0.02 } end)
      assert.is_false(ok)
      assert.equal('deadline', e.kind)
    end
  end)

  it('ends with its context', function()
    local ok, e = pcall(neap.run, function()
      local context = neap.context():with_cancel()
      neap.go(function() neap.sleep(0.01) context:cancel 'stop' end)
      return endless():count():run { context = context }
    end)
    assert.is_false(ok)
    assert.equal('canceled', e.kind)
  end)

  it('works outside any task', function()
    assert.same({ 2, 4 }, neap.list({ 1, 2 }):map(function(x) return x * 2 end):run())
    assert.equal(5050, neap.range(1, 100):fan_out(2):sum():run())
  end)

  it('lets stages wait, and runs two jobs side by side', function()
    neap.run(function()
      local slow = function(x) neap.sleep(0.001) return x end
      local a = spread(neap.range(1, 10)):map(slow):count():start()
      local b = spread(neap.range(1, 10)):map(slow):sum():start()
      assert.equal(10, (a:wait()))
      assert.equal(55, (b:wait()))
    end)
  end)
end)

describe('iter', function()
  it('gives the items and raises what ended them', function()
    neap.run(function()
      local sum = 0
      for v in spread(neap.range(1, 100)):iter() do sum = sum + v end
      assert.equal(5050, sum)
      local ok, e = pcall(function()
        local bad = spread(neap.range(1, 10)):map(function() error 'no' end)
        for _ in bad:iter() do sum = sum + 1 end
      end)
      assert.is_false(ok)
      assert.matches('no', e.message)
    end)
  end)

  it('may be left early', function()
    neap.run(function()
      for v in endless():iter() do
        if v > 10 then break end
      end
      local items = endless():iter()
      assert.is_number(items())
      items:close()
      assert.is_nil(items())
    end)
  end)
end)

describe('an iterator that nobody holds', function()
  it('is canceled by the collector', function()
    neap.run(function()
      local function leave_early()
        for v in endless():iter { name = 'left' } do
          if v > 10 then return end
        end
      end
      local function is_alive()
        for _, row in ipairs(neap.tasks()) do
          if row.name == 'left' then return true end
        end
        return false
      end
      leave_early()
      local give_up = neap.now() + 5
      repeat
        collectgarbage()
        neap.sleep(0.005)
      until not is_alive() or neap.now() > give_up
      assert.is_false(is_alive())
    end)
  end)
end)

describe('ordered fan_out', function()
  it('gives the order of the input, whatever each item costs', function()
    neap.run(function()
      local n = helper.quick and 200 or 2000
      local lazy = function(x)
        if x % 97 == 0 then neap.sleep(0.001) end
        return x
      end
      local got = neap.range(1, n):fan_out(2, { ordered = true })
        :map(lazy):filter(function(x) return x % 5 ~= 0 end):run()
      local at = 0
      for x = 1, n do
        if x % 5 ~= 0 then
          at = at + 1
          assert.equal(x, got[at])
        end
      end
      assert.equal(at, #got)
    end)
  end)

  it('delivers a prefix and stops when less is wanted', function()
    neap.run(function()
      local list = {}
      for i = 1, 5000 do list[i] = i end
      local got = neap.list(list):fan_out(2, { ordered = true, window = 2 })
        :map(function(x) return -x end):take(7):run()
      assert.same({ -1, -2, -3, -4, -5, -6, -7 }, got)
    end)
  end)
end)

--- Sleeping and giving way: TM-01 and TM-15 of conformance.md; timers have specs of their own.
local neap = require 'neap'
local support = require 'behavior.support'
local raises, bubble = support.raises, support.bubble

describe('sleep', function()
  it('TM-01: is never shorter than asked', function()
    neap.run(function()
      for _ = 1, 5 do
        local before = neap.now()
        neap.sleep(0.005)
        assert.is_true(neap.now() - before >= 0.005)
      end
    end)
  end)

  it('TM-01: of 0 or less gives way and returns, also often and under collection', function()
    bubble(function()
      local turns = 0
      local other = neap.go(function()
        for _ = 1, 3 do
          turns = turns + 1
          neap.yield()
        end
      end)
      for _ = 1, 100 do
        neap.sleep(0)
        neap.sleep(-5)
        collectgarbage 'step'
      end
      assert.equal(3, turns)
      assert.equal(946684800, neap.now())
      other:join()
    end)
  end)

  it('wakes in the order of due times', function()
    bubble(function()
      local order, tasks = {}, {}
      for _, k in ipairs { 5, 3, 6, 6, 6, 1, 1, 2, 7, 9, 4, 8, 0 } do
        tasks[#tasks + 1] = neap.go(function()
          neap.sleep(k)
          assert.equal(946684800 + k, neap.now())
          order[#order + 1] = k
        end)
      end
      for _, task in ipairs(tasks) do task:join() end
      assert.same({ 0, 1, 1, 2, 3, 4, 5, 6, 6, 6, 7, 8, 9 }, order)
    end)
  end)

  it('TM-15: of the longest time disturbs no other', function()
    bubble(function()
      local long = {}
      for index, seconds in ipairs { math.huge, 2 ^ 63, 1e300, 1e18 } do
        long[index] = neap.go(function() neap.sleep(seconds) end)
      end
      neap.sleep(1)
      assert.equal(946684801, neap.now())
      for index = 1, #long do
        assert.equal('waiting', long[index]:status())
        long[index]:cancel()
      end
      neap.sleep(-math.huge)
      neap.sleep(-2 ^ 63)
      assert.equal(946684801, neap.now())
    end)
  end)

  it('refuses what is no number', function()
    bubble(function()
      raises('argument', neap.sleep, 'long')
      raises('argument', neap.sleep, nil)
      raises('argument', neap.sleep, 0 / 0)
    end)
  end)
end)

describe('yield', function()
  it('lets all ready tasks run once', function()
    bubble(function()
      local order = {}
      for index = 1, 3 do
        neap.go(function()
          order[#order + 1] = index
          neap.yield()
          order[#order + 1] = index + 10
        end)
      end
      neap.yield()
      assert.same({ 1, 2, 3 }, order)
      neap.yield()
      assert.same({ 1, 2, 3, 11, 12, 13 }, order)
    end)
  end)

  it('works outside any task', function()
    local ran
    neap.run(function()
      neap.go(function() ran = true end)
      neap.yield()
      assert.is_true(ran)
    end)
    for _ = 1, 2000 do neap.yield() end
  end)
end)

describe('self', function()
  it('is the task that runs', function()
    bubble(function()
      local task
      task = neap.go(function() return neap.self() == task end)
      assert.is_true((task:join()))
    end)
  end)

  if not support.own then
    it('is nil outside any task', function() assert.is_nil((neap.self())) end)
  end
end)

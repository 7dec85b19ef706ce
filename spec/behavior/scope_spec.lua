--- Scopes: what they wait for, what cancels them, what they raise. Each placement and loop.
local neap = require 'neap'
local support = require 'behavior.support'
local case, start, settle = support.case, support.start, support.settle
local raises, D = support.raises, support.D

local function results(...) return { n = select('#', ...), ... } end

describe('scope (placement ' .. (support.spread and 'spread' or 'one') .. ')', function()
  it('returns what its function returns when all tasks have ended', function()
    case(function()
      local ended = neap.atomic()
      assert.same({ n = 3, 1, nil, 3 }, results(neap.scope(function(...)
        for _ = 1, 3 do
          start(function()
            neap.sleep(D / 10)
            ended:add(1)
          end)
        end
        return ...
      end, 1, nil, 3)))
      assert.equal(3, ended:load())
    end)
  end)

  it('waits for tasks that its tasks start', function()
    case(function()
      local ended = neap.atomic()
      neap.scope(function()
        start(function()
          neap.yield()
          neap.go(function()
            neap.sleep(D / 10)
            neap.go(function() ended:add(1) end)
            ended:add(1)
          end)
        end)
      end)
      assert.equal(2, ended:load())
    end)
  end)

  it('raises the error of its function after its tasks have unwound', function()
    case(function()
      local unwound = neap.atomic()
      local value = { code = 7 }
      local e = raises('error', neap.scope, function()
        start(function()
          neap.defer(function()
            neap.sleep(D / 10)
            unwound:add(1)
          end)
          neap.sleep(1000)
        end)
        settle()
        error(value)
      end)
      assert.equal(value, e.value)
      assert.equal(1, unwound:load())
    end)
  end)

  it('is canceled by the first error of a task, which it raises', function()
    case(function()
      local unwound = neap.atomic()
      local e = raises('error', neap.scope, function()
        for index = 1, 3 do
          (index == 2 and neap.go or start)(function()
            neap.defer(function() unwound:add(1) end)
            neap.sleep(1000)
          end)
        end
        start(function()
          neap.sleep(D / 10)
          error 'first'
        end)
        neap.sleep(1000)
      end)
      assert.matches('first', e.message)
      assert.matches('scope_spec.lua:%d+', e.traceback)
      assert.equal(3, unwound:load())
    end)
  end)

  it('raises the error of a task also when its function had returned', function()
    case(function()
      local e = raises('error', neap.scope, function()
        start(function()
          neap.sleep(D / 10)
          error 'late'
        end)
        return 'lost'
      end)
      assert.matches('late', e.message)
    end)
  end)

  it('prefers what went wrong to the cancellation that follows', function()
    case(function()
      local e = raises('error', neap.scope, function()
        start(function() error 'cause' end)
        neap.channel():recv() -- Raises canceled.
      end)
      assert.matches('cause', e.message)
    end)
  end)

  it('nested: an error that is caught around the inner one stays there', function()
    case(function()
      local value = neap.scope(function()
        local sibling = start(function()
          neap.sleep(D / 5)
          return 'untouched'
        end)
        local ok, e = pcall(neap.scope, function()
          start(function() error 'inner' end)
          neap.sleep(1000)
        end)
        assert.is_false(ok)
        assert.matches('inner', e.message)
        return (sibling:join())
      end)
      assert.equal('untouched', value)
    end)
  end)

  it('nested: an error that nobody catches climbs scope by scope', function()
    case(function()
      local unwound = neap.atomic()
      local e = raises('error', neap.scope, function()
        start(function()
          neap.defer(function() unwound:add(1) end)
          neap.sleep(1000)
        end)
        settle()
        neap.scope(function()
          neap.scope(function() start(function() error 'deep' end) end)
        end)
      end)
      assert.matches('deep', e.message)
      assert.equal(1, unwound:load())
    end)
  end)

  it('nested: the end of the outer one reaches the inner tasks, and waits for them', function()
    case(function()
      local order = neap.channel(10)
      raises('error', neap.scope, function()
        start(function()
          neap.scope(function()
            neap.go(function()
              neap.defer(function()
                neap.sleep(D / 10)
                order:send 'inner task'
              end)
              neap.sleep(1000)
            end)
            neap.defer(function() order:send 'inner owner' end)
            neap.sleep(1000)
          end)
        end)
        settle()
        error 'outer'
      end)
      assert.equal('inner task', (order:recv()))
      assert.equal('inner owner', (order:recv()))
    end)
  end)

  it('with_timeout: in time, it is a scope', function()
    case(function()
      local value = neap.with_timeout(100 * D, function(v)
        start(function() neap.sleep(D / 10) end)
        assert.is_true(neap.context():deadline() > neap.now())
        return v
      end, 'v')
      assert.equal('v', value)
    end)
  end)

  it('with_timeout: out of time, it raises deadline and its tasks have unwound', function()
    case(function()
      local unwound, before = neap.atomic(), neap.now()
      local e = raises('deadline', neap.with_timeout, D, function()
        start(function()
          neap.defer(function() unwound:add(1) end)
          neap.sleep(1000)
        end)
        neap.sleep(1000)
      end)
      assert.matches('timed out', e.message)
      assert.equal(1, unwound:load())
      assert.is_true(neap.now() - before >= D)
    end)
  end)

  it('with_timeout: raises deadline also when only its tasks ran out of time', function()
    case(function()
      raises('deadline', neap.with_timeout, D / 10, function()
        start(function() neap.sleep(1000) end)
        return 'returned in time'
      end)
    end)
  end)

  it('with_timeout: the nearest deadline counts', function()
    case(function()
      local before = neap.now()
      raises('deadline', neap.with_timeout, D, function()
        neap.with_timeout(100 * D, function() neap.sleep(1000) end)
      end)
      assert.is_true(neap.now() - before < 50 * D)
      local ok, e = pcall(neap.with_timeout, 100 * D, function()
        local inner = raises('deadline', neap.with_timeout, D / 10, neap.sleep, 1000)
        neap.sleep(0)
        return inner.kind
      end)
      assert.is_true(ok)
      assert.equal('deadline', e)
    end)
  end)

  it('with_timeout of 0 and with_deadline in the past: the first wait raises', function()
    case(function()
      raises('deadline', neap.with_timeout, 0, neap.sleep, 1)
      raises('deadline', neap.with_deadline, neap.now() - 1, neap.sleep, 1)
      raises('argument', neap.with_timeout, -1, neap.sleep, 1)
      assert.equal('v', (neap.with_timeout(0, function() return 'v' end))) -- No wait, no harm.
    end)
  end)

  it('with_deadline ends at its time', function()
    case(function()
      local at = neap.now() + D
      raises('deadline', neap.with_deadline, at, function()
        assert.is_true(math.abs(neap.context():deadline() - at) < 1e-6)
        neap.sleep(1000)
      end)
      assert.is_true(neap.now() >= at)
    end)
  end)

  it('with_context: ends with the context, with its cause', function()
    case(function()
      local ctx = neap.background():with_cancel()
      start(function()
        neap.sleep(D / 10)
        ctx:cancel 'why'
      end)
      local e = raises('canceled', neap.with_context, ctx, function()
        neap.go(function() neap.sleep(1000) end)
        neap.sleep(1000)
      end)
      assert.equal('why', e.cause)
    end)
  end)

  it('with_context: a task that cancels the context is no failure', function()
    case(function()
      local ctx = neap.background():with_cancel()
      local value = neap.with_context(ctx, function()
        neap.go(function() neap.sleep(1000) end)
        start(function() ctx:cancel 'found' end)
        return 'result'
      end)
      assert.equal('result', value)
      assert.equal('found', ctx:cause())
    end)
  end)

  it('may fail in a hundred tasks at once: one error, all unwound', function()
    case(function()
      local e = raises('error', neap.scope, function()
        for index = 1, 100 do
          (index % 2 == 0 and neap.go or start)(function()
            neap.yield()
            error('boom ' .. index)
          end)
        end
      end)
      assert.matches('boom %d+', e.message)
    end)
  end)

  it('leaves no task behind', function()
    local before = neap.stats().tasks
    for _ = 1, 20 do
      case(function()
        pcall(neap.scope, function()
          for _ = 1, 5 do start(function() neap.sleep(1000) end) end
          start(function() error 'boom' end)
        end)
      end)
    end
    assert.equal(before, neap.stats().tasks)
  end)
end)

describe('run', function()
  it('returns results when every task has ended, nils included', function()
    local ended = 0
    assert.same({ n = 3, 1, nil, 3 }, results(neap.run(function(...)
      for _ = 1, 3 do
        neap.go(function()
          neap.yield()
          ended = ended + 1
        end)
      end
      return ...
    end, 1, nil, 3)))
    assert.equal(3, ended)
  end)

  it('inside run is a scope', function()
    local log = {}
    local value = neap.run(function()
      local inner = neap.run(function()
        neap.go(function()
          neap.yield()
          log[#log + 1] = 'task'
        end)
        return 'inner'
      end)
      log[#log + 1] = inner
      return inner
    end)
    assert.equal('inner', value)
    assert.same({ 'task', 'inner' }, log)
    raises('error', neap.run, function() neap.run(error, 'boom') end)
  end)

  it('raises the error of its function with kind, traceback and value', function()
    local value = { code = 7 }
    local e = raises('error', neap.run, function() error(value) end)
    assert.equal(value, e.value)
    assert.matches('scope_spec.lua:%d+', e.traceback)
    raises('argument', neap.run, nil)
  end)

  it('may follow a run that failed', function()
    for _ = 1, 3 do
      raises('error', neap.run, function()
        neap.go(function() neap.sleep(1000) end)
        neap.go(error, 'boom')
      end)
      assert.equal('fine', (neap.run(function() return 'fine' end)))
    end
  end)

  if not support.own then
    it('of nobody: the next pump raises what a task outside any run raised', function()
      neap.go(function() error 'loose' end)
      assert.matches('loose', raises('error', neap.sleep, 0.001).message)
      neap.sleep(0.001) -- Once.
      neap.go(function() error 'again' end)
      assert.matches('again', raises('error', neap.tick).message)
      assert.is_nil((neap.tick()))
    end)

    it('outside any task, blocking calls pump', function()
      local ch = neap.channel()
      neap.go(function()
        for index = 1, 3 do ch:send(index) end
        ch:close()
      end)
      local sum = 0
      for v in ch:iter() do sum = sum + v end
      assert.equal(6, sum)
      local task = neap.go(function()
        neap.sleep(0.001)
        return 'v'
      end)
      assert.equal('v', (task:join()))
      assert.is_nil((neap.select { neap.channel(), timeout = 0.001 }))
      assert.equal('value', (neap.spawn(function() return 'value' end):join()))
    end)
  end
end)

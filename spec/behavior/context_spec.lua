--- Contexts, case by case: conformance.md section 4. Runs with each placement and each loop.
local neap = require 'neap'
local support = require 'behavior.support'
local case, start, park, settle = support.case, support.start, support.park, support.settle
local raises, D = support.raises, support.D

local NOT_APPLICABLE = {
  ['CX-22'] = 'no foreign contexts: every context is one of ours',
  ['CX-23'] = 'no foreign contexts: every context is one of ours',
}

local function root() return neap.background() end

-- What a context says of itself: err's kind, cause.
local function say(ctx)
  local e, cause = ctx:err(), ctx:cause()
  if type(cause) == 'table' then cause = cause.kind end
  return e and e.kind or 'live', cause
end

local function assert_says(kind, cause, ctx)
  local is_kind, is_cause = say(ctx)
  assert.same({ kind, cause }, { is_kind, is_cause })
end

local function wait_done(ctx) neap.select { ctx } end

describe('context', function()
  it('CX-01: the root never ends, has no deadline and no values', function()
    case(function()
      local ctx = root()
      assert.is_false(ctx:is_done())
      assert.is_nil(ctx:err())
      assert.is_nil(ctx:cause())
      assert.is_nil(ctx:deadline())
      assert.is_nil(ctx:value 'key')
      assert.is_nil((neap.select { ctx, default = true }))
      assert.equal('background', tostring(ctx))
      assert.equal(ctx, root())
    end)
  end)

  it('CX-02: a child before its cancel; done is one object', function()
    case(function()
      local ctx = root():with_cancel()
      assert.is_false(ctx:is_done())
      assert_says('live', nil, ctx)
      local done = ctx:done()
      assert.equal(done, ctx:done())
      assert.is_false(done:is_closed())
      assert.same({ nil, nil }, { done:try_recv() })
      ctx:cancel()
      local _, ok = done:recv()
      assert.is_false(ok)
      assert.equal(done, ctx:done())
    end)
  end)

  it('CX-03: when cancel returns, it and all below have ended', function()
    case(function()
      local ctx = root():with_cancel()
      local child = ctx:with_cancel()
      local below = child:with_value('k', 1):with_timeout(1000):with_cancel()
      local peer = park(wait_done, below)
      ctx:cancel()
      for _, each in ipairs { ctx, child, below } do
        assert.is_true(each:is_done())
        assert_says('canceled', 'canceled', each)
      end
      peer:join()
      local seen = start(function() return ctx:is_done(), below:err().kind end)
      assert.same({ true, 'canceled' }, { seen:join() })
    end)
  end)

  it('CX-04: later cancels change nothing', function()
    case(function()
      local ctx = root():with_cancel()
      ctx:cancel 'first'
      ctx:cancel 'second'
      start(function() ctx:cancel 'third' end):join()
      assert_says('canceled', 'first', ctx)
      local raced, tasks = root():with_cancel(), {}
      for index = 1, 8 do
        tasks[index] = (index % 2 == 0 and start or neap.go)(function() raced:cancel(index) end)
      end
      for index = 1, 8 do tasks[index]:join() end
      local cause = raced:cause()
      assert.is_true(cause >= 1 and cause <= 8)
      raced:cancel(9)
      assert.equal(cause, raced:cause())
    end)
  end)

  it('CX-05: a parent ends its children, also below values and timeouts', function()
    case(function()
      local parent = root():with_cancel()
      local child = parent:with_cancel()
      local value = parent:with_value('k', 'v')
      local timed = value:with_timeout(3600000)
      parent:cancel()
      for _, each in ipairs { child, value, timed } do assert_says('canceled', 'canceled', each) end
    end)
  end)

  it('CX-06: a child that ends leaves its parent alone', function()
    case(function()
      local parent = root():with_cancel()
      local child, other = parent:with_cancel(), parent:with_cancel()
      child:cancel 'child'
      assert_says('live', nil, parent)
      assert_says('live', nil, other)
      parent:cancel 'parent'
      assert_says('canceled', 'child', child)
      assert_says('canceled', 'parent', other)
    end)
  end)

  it('CX-07: a child of an ended parent is born ended', function()
    case(function()
      local parent = root():with_cancel()
      parent:cancel 'P'
      for _, child in ipairs {
        parent:with_cancel(), parent:with_timeout(1000), parent:with_value('k', 1),
        parent:with_cancel():with_cancel(),
      } do
        assert_says('canceled', 'P', child)
      end
    end)
  end)

  it('CX-08: children leave their parent when they end: constant memory', function()
    local C = require('neap.ffi').C
    local count = support.quick and 1000 or 20000
    case(function()
      local parent = root():with_cancel()
      local function children() return C.npl_context_children(parent.h) end
      assert.equal(0, children())
      local child = parent:with_cancel()
      assert.equal(1, children())
      child:cancel()
      assert.equal(0, children())
      child = parent:with_timeout(3600)
      assert.equal(1, children())
      child:close()
      assert.equal(0, children())
      for _ = 1, count do parent:with_cancel():cancel() end
      assert.equal(0, children())
      collectgarbage()
      collectgarbage()
      local before = collectgarbage 'count'
      for _ = 1, count do parent:with_timeout(3600):cancel() end
      collectgarbage()
      collectgarbage()
      assert.equal(0, children())
      assert.is_true(collectgarbage 'count' - before < 200)
    end)
  end)

  it('CX-09: a deadline ends it, not before; a later cancel changes nothing', function()
    case(function()
      local ctx = root():with_timeout(D)
      assert.is_false(ctx:is_done())
      local at = ctx:deadline()
      wait_done(ctx)
      assert.is_true(neap.now() >= at)
      assert_says('deadline', 'deadline', ctx)
      assert.matches('timed out', ctx:err().message)
      ctx:cancel 'late'
      assert_says('deadline', 'deadline', ctx)
    end)
  end)

  it('CX-10: a deadline that has passed ends it at construction', function()
    case(function()
      for _, ctx in ipairs {
        root():with_timeout(0), root():with_timeout(-5), root():with_deadline(neap.now() - 1),
        root():with_deadline(neap.now()),
      } do
        assert_says('deadline', 'deadline', ctx)
      end
    end)
  end)

  it('CX-11: the nearest deadline counts, whoever set it', function()
    case(function()
      local parent = root():with_timeout(D)
      local child = parent:with_timeout(10 * D)
      assert.equal(parent:deadline(), child:deadline())
      local sooner = parent:with_timeout(D / 4)
      assert.is_true(sooner:deadline() < parent:deadline())
      wait_done(sooner)
      assert_says('deadline', 'deadline', sooner)
      assert_says('live', nil, parent)
      wait_done(child)
      assert_says('deadline', 'deadline', child)
      assert.is_true(parent:is_done())
    end)
  end)

  it('CX-12: a timeout child that is canceled first says canceled, at once', function()
    case(function()
      local ctx = root():with_value('k', 1):with_timeout(D)
      ctx:cancel()
      assert_says('canceled', 'canceled', ctx)
      neap.sleep(2 * D)
      assert_says('canceled', 'canceled', ctx)
    end)
  end)

  it('CX-13: the nearest binding of a key counts; keys of other types are other keys', function()
    case(function()
      local one = root():with_value(1, 'number'):with_value('1', 'string'):with_cancel()
      local two = one:with_value('k', { list = { 1, 2 } }):with_value(true, 'boolean')
      local three = two:with_value(1, nil):with_timeout(1000)
      assert.equal('number', one:value(1))
      assert.equal('string', one:value '1')
      assert.is_nil(one:value(true))
      assert.equal('boolean', two:value(true))
      assert.is_nil(three:value(1))
      assert.equal('string', three:value '1')
      assert.same({ list = { 1, 2 } }, three:value 'k')
      assert.is_nil(three:value 'unknown')
      one:cancel()
      assert.equal('number', two:value(1))
      local peer = start(function() return two:value(1), two:value('k').list[2], three:value(1) end)
      assert.same({ 'number', 2, nil }, { peer:join() })
    end)
  end)

  it('CX-14: a nil key, a key that is a table, and no parent are refused', function()
    local ctx = root()
    assert.matches('nil', raises('argument', ctx.with_value, ctx, nil, 1).message)
    assert.matches('got a table', raises('argument', ctx.with_value, ctx, {}, 1).message)
    raises('argument', ctx.with_cancel, nil)
    raises('argument', ctx.with_timeout, nil, 1)
    raises('argument', ctx.with_deadline, nil, 1)
    raises('argument', ctx.with_timeout, ctx, 'soon')
    raises('unsendable', ctx.with_value, ctx, 'k', coroutine.create(print))
  end)

  it('CX-15: a cause is what cancel was given, else the error', function()
    case(function()
      for _, cause in ipairs { 'X', 7, true, { code = 7 } } do
        local ctx = root():with_cancel()
        ctx:cancel(cause)
        assert.equal('canceled', ctx:err().kind)
        assert.same(cause, ctx:cause())
        assert.same(cause, ctx:err().cause)
      end
      local plain = root():with_cancel()
      plain:cancel(nil)
      assert_says('canceled', 'canceled', plain)
      local ok, e = pcall(error, 'boom')
      assert.is_false(ok)
      local failed = root():with_cancel()
      failed:cancel(e)
      assert.equal(e, failed:cause())
      raises('unsendable', plain.cancel, root():with_cancel(), coroutine.create(print))
    end)
  end)

  it('CX-16: whichever of parent and child ends first gives the child its cause', function()
    case(function()
      local function pair()
        local parent = root():with_cancel()
        return parent, parent:with_cancel()
      end
      local rows = {
        { { 'p', 'P' }, { 'c', 'C' }, child = 'P', parent = 'P' },
        { { 'c', 'C' }, { 'p', 'P' }, child = 'C', parent = 'P' },
        { { 'p', 'P' }, { 'c' }, child = 'P', parent = 'P' },
        { { 'c' }, { 'p', 'P' }, child = 'canceled', parent = 'P' },
        { { 'p' }, { 'c', 'C' }, child = 'canceled', parent = 'canceled' },
        { { 'c', 'C' }, { 'p' }, child = 'C', parent = 'canceled' },
      }
      for _, row in ipairs(rows) do
        local parent, child = pair()
        for _, step in ipairs(row) do
          (step[1] == 'p' and parent or child):cancel(step[2])
        end
        assert_says('canceled', row.child, child)
        assert_says('canceled', row.parent, parent)
      end
    end)
  end)

  it('CX-17: the cause of a timeout counts only when the time ends it', function()
    case(function()
      local fires = root():with_timeout(D / 10, 'S')
      wait_done(fires)
      assert_says('deadline', 'S', fires)
      local early = root():with_timeout(1000, 'S')
      early:cancel()
      assert_says('canceled', 'canceled', early)
      local parent = root():with_cancel()
      local below = parent:with_timeout(D / 10, 'S')
      wait_done(below)
      parent:cancel 'F'
      assert_says('deadline', 'S', below)
      parent = root():with_cancel()
      below = parent:with_timeout(D / 10, 'S')
      parent:cancel 'F'
      assert_says('canceled', 'F', below)
      neap.sleep(D / 5)
      assert_says('canceled', 'F', below)
    end)
  end)

  it('CX-18: without_cancel sees values only', function()
    case(function()
      local live = root():with_value('k', 'v'):with_timeout(1000)
      local canceled = root():with_value('k', 'v'):with_cancel()
      local expired = root():with_value('k', 'v'):with_timeout(0)
      canceled:cancel 'why'
      for _, parent in ipairs { live, canceled, expired } do
        local ctx = parent:without_cancel()
        assert.is_nil(ctx:deadline())
        assert.is_false(ctx:is_done())
        assert_says('live', nil, ctx)
        assert.equal('v', ctx:value 'k')
      end
      local ctx = live:without_cancel()
      live:cancel()
      assert_says('live', nil, ctx)
      raises('state', ctx.cancel, ctx)
    end)
  end)

  it('CX-19: after runs its function once, in a task of its own, not before the end', function()
    case(function()
      local ctx, calls = root():with_cancel(), {}
      local me = neap.self()
      ctx:after(function()
        calls[#calls + 1] = neap.self() ~= me and not neap.context():is_done()
      end)
      neap.sleep(D / 10)
      assert.same({}, calls)
      ctx:cancel()
      neap.sleep(D / 10)
      assert.same({ true }, calls)
      ctx:cancel()
      neap.sleep(D / 10)
      assert.same({ true }, calls)
      local timed, fired = root():with_timeout(D / 10), nil
      timed:after(function() fired = neap.now() end)
      neap.sleep(D / 2)
      assert.is_true(fired >= timed:deadline())
      local late
      timed:after(function() late = true end) -- Ended already: at once.
      neap.sleep(D / 10)
      assert.is_true(late)
    end)
  end)

  it('CX-20: stop is true only if it prevented the call', function()
    case(function()
      local ctx, calls = root():with_cancel(), 0
      local stop = ctx:after(function() calls = calls + 1 end)
      assert.is_true(stop())
      assert.is_false(stop())
      ctx:cancel()
      neap.sleep(D / 10)
      assert.equal(0, calls)
      ctx = root():with_cancel()
      local gate = neap.channel()
      stop = ctx:after(function()
        calls = calls + 1
        gate:recv()
      end)
      ctx:cancel()
      neap.sleep(D / 10)
      assert.equal(1, calls)
      assert.is_false(stop()) -- And does not wait for it.
      gate:send(true)
    end)
  end)

  it('CX-21: cancel does not wait for what runs after it', function()
    case(function()
      local ctx, gate, seen = root():with_cancel(), neap.channel(), {}
      ctx:after(function()
        gate:recv()
        seen[#seen + 1] = 'first'
      end)
      ctx:after(function() seen[#seen + 1] = 'second' end)
      ctx:cancel()
      assert.same({}, seen)
      neap.sleep(D / 10)
      assert.same({ 'second' }, seen)
      gate:send(true)
      neap.sleep(D / 10)
      assert.same({ 'second', 'first' }, seen)
    end)
  end)

  it('CX-24: reads as its chain, root first, without values', function()
    case(function()
      local ctx = root():with_cancel():with_timeout(10):with_value('user', 'secret')
      ctx = ctx:without_cancel()
      local text = tostring(ctx)
      assert.equal('background.with_cancel.with_timeout.with_value(user).without_cancel', text)
      assert.is_nil(text:find 'secret')
    end)
  end)

  it('covers section 4', function()
    support.covers('spec/behavior/context_spec.lua', 'CX', 24, NOT_APPLICABLE)
  end)
end)

describe('context (placement ' .. (support.spread and 'spread' or 'one') .. ')', function()
  it('ends every blocking call under it, at entry and while parked', function()
    case(function()
      local ch, full = neap.channel(), neap.channel(1)
      full:send(1)
      local waits = {
        function() ch:recv() end,
        function() ch:recv(1000) end,
        function() full:send(2) end,
        function() full:send(2, 1000) end,
        function() neap.sleep(1000) end,
        function() neap.select { ch } end,
        function() neap.select { full:sending(2), timeout = 1000 } end,
        function() for _ in ch:iter() do error 'no' end end,
      }
      for index, wait in ipairs(waits) do
        local ctx = root():with_cancel()
        local function under(already)
          local seen
          pcall(neap.with_context, ctx, function()
            if already then ctx:cancel 'why' end
            local ok, e = pcall(wait)
            seen = ok and 'none' or e.kind .. ' ' .. tostring(e.cause)
          end)
          return seen
        end
        assert.equal('canceled why', under(true), index)
        ctx = root():with_cancel()
        local peer = neap.go(under, false)
        settle()
        start(function() ctx:cancel 'why' end):join()
        assert.equal('canceled why', (peer:join()), index)
      end
      assert.equal(1, full:len())
      assert.is_false(ch:try_send(1))
    end)
  end)

  it('reaches tasks on the other worker', function()
    case(function()
      local ctx, ready = root():with_cancel(), neap.channel(1)
      local peer = start(function()
        return neap.with_context(ctx, function()
          local ok, e = pcall(function()
            ready:send(true)
            neap.sleep(1000)
          end)
          return ok, e.kind, e.cause
        end)
      end)
      ready:recv()
      ctx:cancel 'why'
      assert.same({ false, 'canceled', 'why' }, { peer:join() })
    end)
  end)

  it('raises again at the next blocking call when the first is swallowed', function()
    case(function()
      local ctx, count = root():with_cancel(), 0
      ctx:cancel()
      pcall(neap.with_context, ctx, function()
        for _ = 1, 3 do
          if not pcall(neap.sleep, 1) then count = count + 1 end
        end
      end)
      assert.equal(3, count)
    end)
  end)

  it('leaves try_send, try_recv and close alone', function()
    case(function()
      local ctx, ch = root():with_cancel(), neap.channel(1)
      ctx:cancel()
      neap.with_context(ctx, function()
        assert.is_true(ch:try_send 'v')
        assert.equal('v', (ch:try_recv()))
        ch:close()
      end)
    end)
  end)

  it('is the current one inside with_context and its tasks', function()
    case(function()
      local ctx = neap.context():with_value('k', 'v')
      neap.with_context(ctx, function()
        assert.equal('v', neap.context():value 'k')
        assert.equal('v', (start(function() return neap.context():value 'k' end):join()))
      end)
      assert.is_nil(neap.context():value 'k')
    end)
  end)

  it('may be canceled by what runs under it; the results still count', function()
    case(function()
      local ctx = root():with_cancel()
      assert.equal('result', (neap.with_context(ctx, function()
        ctx:cancel()
        return 'result'
      end)))
    end)
  end)

  it('names the method that was meant', function()
    local e = raises('argument', function() return root():with_cancle() end)
    assert.matches('with_cancel', e.message)
    raises('argument', neap.with_context, 7, print)
    raises('state', function() root():with_value('k', 1):cancel() end)
  end)
end)

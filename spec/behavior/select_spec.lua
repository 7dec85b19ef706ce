--- Select, case by case: conformance.md section 3. Runs with each placement and each loop.
local neap = require 'neap'
local support = require 'behavior.support'
local case, start, park, settle = support.case, support.start, support.park, support.settle
local raises, D = support.raises, support.D

local NOT_APPLICABLE = {
  ['SE-16'] = 'no select statement with a body to leave: select returns, an `if` follows',
}

local function results(...) return { n = select('#', ...), ... } end
local function recv(ch) return ch:recv() end

-- Parks for ever: the case is ended by a cancel, as a deadlock would end it.
local function parks(fn)
  local task = neap.go({ isolated = true }, fn)
  support.settle()
  local waiting = task:status() == 'waiting'
  task:cancel()
  task:wait()
  return waiting
end

describe('select', function()
  it('SE-01: no cases park for ever; a default alone wins at once', function()
    case(function()
      assert.is_true(parks(function() neap.select {} end))
      assert.same({ n = 1 }, results(neap.select { default = true }))
      local before = neap.now()
      assert.same({ n = 1 }, results(neap.select { timeout = D }))
      assert.is_true(neap.now() - before >= D)
    end)
  end)

  it('SE-02: disabled cases never fire', function()
    case(function()
      assert.is_true(parks(function() neap.select { false, neap.never } end))
      assert.same({ n = 1 }, results(neap.select { false, neap.never, default = true }))
      local ch = neap.channel(1)
      for _ = 1, 20 do
        ch:send 'v'
        assert.same({ n = 3, 3, 'v', true }, results(neap.select { false, neap.never, ch }))
      end
      start(function()
        neap.sleep(D)
        ch:send 'w'
      end)
      assert.same({ n = 3, 2, 'w', true }, results(neap.select { false, ch, neap.never }))
    end)
  end)

  it('SE-03: a ready case beats the default, wherever the default stands', function()
    case(function()
      local ch, full, closed = neap.channel(1), neap.channel(1), neap.channel()
      full:send(1)
      closed:close()
      for _ = 1, 50 do
        ch:send 'v'
        assert.equal(1, (neap.select { ch, default = true }))
        assert.equal(1, (neap.select { default = true, ch:sending 'w' }))
        assert.equal(2, (neap.select { full:sending 'x', ch, default = true }))
        assert.equal(1, (neap.select { default = true, closed }))
      end
    end)
  end)

  it('SE-04: the default leaves no trace', function()
    case(function()
      local ch, full, none = neap.channel(2), neap.channel(1), neap.channel()
      full:send 'kept'
      for _ = 1, 10 do
        assert.same({ n = 1 },
          results(neap.select { ch, full:sending 'x', none, none:sending 'y', default = true }))
      end
      assert.same({ 0, 1, 0 }, { ch:len(), full:len(), none:len() })
      assert.is_false(none:try_send 'z')
      assert.same({ n = 2 }, results(none:try_recv()))
      assert.same({ n = 2, 'kept', true }, results(full:try_recv()))
    end)
  end)

  it('SE-05: a closed channel: receive is ready, send raises', function()
    case(function()
      local ch = neap.channel(1, { name = 'jobs' })
      ch:close()
      assert.same({ n = 3, 1, nil, false }, results(neap.select { ch }))
      local e = raises('closed', neap.select, { ch:sending(1), default = true })
      assert.equal('send on closed channel jobs', e.message)
      local open = neap.channel()
      local peer = park(function() return neap.select { open:sending 'v', neap.never } end)
      assert.same({ n = 3, 2, 'v', true }, results(neap.select { false, open }))
      assert.same({ n = 2, 1, true }, results(peer:join()))
      peer = park(function()
        local ok, failure = pcall(neap.select, { neap.never, open:sending 'v' })
        return ok, failure.kind
      end)
      open:close()
      assert.same({ n = 2, false, 'closed' }, results(peer:join()))
    end)
  end)

  it('SE-06: operands are evaluated once, in order, before the choice', function()
    case(function()
      local order, ch, other = {}, neap.channel(1), neap.channel(1)
      local function note(name, v)
        order[#order + 1] = name
        return v
      end
      for _ = 1, 2 do
        neap.select {
          note('a', ch), note('b', other):sending(note('c', 1)), note('d', false), default = true,
        }
        other:try_recv()
      end
      assert.equal('abcdabcd', table.concat(order))
    end)
  end)

  it('SE-07: two ready cases are chosen evenly', function()
    case(function()
      local a, b, never1, never2 = neap.channel(1), neap.channel(1), neap.channel(), neap.channel()
      local counts, cases = { 0, 0, 0, 0 }, { never1, never2, a, b }
      a:send(1)
      b:send(1)
      for _ = 1, 10000 do
        local index = neap.select(cases)
        counts[index] = counts[index] + 1
        cases[index]:send(1)
      end
      assert.equal(10000, counts[3] + counts[4])
      assert.is_true(math.abs(counts[3] - 5000) <= 500, 'first: ' .. counts[3])
    end)
  end)

  it('SE-08: sends of 0 and 1 on one channel come out mixed', function()
    case(function()
      for _, capacity in ipairs { 0, 100 } do
        local ch = neap.channel(capacity)
        start(function()
          local cases = { ch:sending(1), ch:sending(0) }
          for _ = 1, 100 do neap.select(cases) end
          ch:close()
        end)
        local sum, count = 0, 0
        for v in ch:iter() do
          sum = sum + v
          count = count + 1
        end
        assert.equal(100, count)
        assert.is_true(sum > 10 and sum < 90, 'ones: ' .. sum)
      end
    end)
  end)

  it('SE-09: a loser leaves no registration behind', function()
    case(function()
      local a, b = neap.channel(), neap.channel()
      local peer = park(function() return (neap.select { a, b }) end)
      a:send(1)
      assert.equal(1, peer:join())
      assert.is_false(b:try_send 'lost')
      assert.same({ n = 2 }, results(b:try_recv()))
      local sender = park(function() return (neap.select { a, b:sending 'lost' }) end)
      a:send(1)
      assert.equal(1, sender:join())
      assert.same({ n = 2 }, results(b:try_recv()))
      local real = park(recv, b)
      b:send 'v'
      assert.equal('v', (real:join()))
    end)
  end)

  it('SE-10: a quiet channel in 100,000 selects costs no memory', function()
    case(function()
      local COUNT = support.quick and 5000 or support.spread and 30000 or 100000
      local busy, quiet = neap.channel(), neap.channel()
      local sender = start(function()
        for index = 1, 2 * COUNT do busy:send(index) end
      end)
      local cases = { busy, quiet }
      for _ = 1, COUNT do neap.select(cases) end
      collectgarbage()
      collectgarbage()
      local before = collectgarbage 'count'
      for _ = 1, COUNT do neap.select(cases) end
      collectgarbage()
      collectgarbage()
      local growth = collectgarbage 'count' - before
      assert.is_true(growth <= 110, ('grew by %d KiB'):format(growth))
      sender:join()
      assert.is_false(quiet:try_send(1))
    end)
  end)

  it('SE-11: a single case pairs with every plain and select counterpart', function()
    local senders = {
      function(ch) ch:send(1) end,
      function(ch) neap.select { ch:sending(1) } end,
      function(ch) neap.select { ch:sending(1), neap.never } end,
    }
    local receivers = {
      function(ch) ch:recv() end,
      function(ch) neap.select { ch } end,
      function(ch) neap.select { neap.never, ch } end,
    }
    for _, sender in ipairs(senders) do
      for _, receiver in ipairs(receivers) do
        case(function()
          local ch = neap.channel()
          local peer = park(sender, ch)
          receiver(ch)
          peer:join()
          peer = park(receiver, ch)
          sender(ch)
          peer:join()
        end)
      end
    end
  end)

  it('SE-12: a task does not talk to itself', function()
    case(function()
      local ch = neap.channel()
      assert.is_true(parks(function() neap.select { ch:sending(1), ch } end))
      assert.is_true(parks(function() neap.select { ch, ch:sending(1) } end))
      assert.same({ n = 2 }, results(ch:try_recv()))
      local peer = park(function() return (neap.select { ch, ch:sending 'mine' }) end)
      assert.equal('mine', (ch:recv()))
      assert.equal(2, peer:join())
    end)
  end)

  it('SE-13: a timeout: none, a value before it, both at once', function()
    case(function()
      local ch = neap.channel(1)
      local before = neap.now()
      assert.same({ n = 1 }, results(neap.select { ch, timeout = D }))
      assert.is_true(neap.now() - before >= D)
      start(function()
        neap.sleep(D / 2)
        ch:send 'v'
      end)
      assert.same({ n = 3, 1, 'v', true }, results(neap.select { ch, timeout = 10 * D }))
      local peer = start(function()
        neap.sleep(D)
        ch:send 'w'
      end)
      local got = results(neap.select { ch, timeout = D })
      peer:join()
      if got[1] == nil then
        assert.same({ n = 2, 'w', true }, results(ch:recv())) -- Not lost.
      else
        assert.same({ n = 3, 1, 'w', true }, got)
      end
      assert.equal(0, ch:len())
    end)
  end)

  it('SE-13: the timeout restarts with each call; 0 only looks', function()
    case(function()
      local ch = neap.channel(1)
      local cases = { ch, timeout = D }
      for _ = 1, 3 do
        local before = neap.now()
        assert.is_nil((neap.select(cases)))
        assert.is_true(neap.now() - before >= D)
      end
      cases.timeout = 0
      assert.is_nil((neap.select(cases)))
      ch:send 'v'
      assert.same({ n = 3, 1, 'v', true }, results(neap.select(cases)))
    end)
  end)

  it('SE-14: a canceled send case is not delivered later', function()
    case(function()
      local out = neap.channel()
      local ctx = neap.background():with_cancel()
      local peer = park(function()
        local index, cause, ok = neap.select { out:sending 'late', ctx }
        return index, cause, ok
      end)
      ctx:cancel 'enough'
      assert.same({ n = 3, 2, 'enough', false }, results(peer:join()))
      assert.same({ n = 2 }, results(out:try_recv()))
      assert.same({ n = 2 }, results(out:recv(D / 10)))
    end)
  end)

  it('SE-15: case lists of 1 to 1,024 receives, any of them ready', function()
    case(function()
      for _, count in ipairs { 1, 2, 8, 64, 1024 } do
        local cases = {}
        for index = 1, count do cases[index] = neap.channel(1) end
        for _, ready in ipairs { 1, math.ceil(count / 2), count } do
          cases[ready]:send('v' .. ready)
          assert.same({ n = 3, ready, 'v' .. ready, true }, results(neap.select(cases)))
          local ch = cases[ready]
          local peer = start(function()
            neap.sleep(D / 100)
            ch:send 'late'
          end)
          assert.same({ n = 3, ready, 'late', true }, results(neap.select(cases)))
          peer:join()
        end
        for index = 1, count do assert.equal(0, cases[index]:len()) end
      end
    end)
  end)

  it('covers section 3', function()
    support.covers('spec/behavior/select_spec.lua', 'SE', 16, NOT_APPLICABLE)
  end)
end)

describe('select (placement ' .. (support.spread and 'spread' or 'one') .. ')', function()
  it('takes a task as a case', function()
    case(function()
      local task = start(function() neap.sleep(D) end)
      local index, ended, ok = neap.select { neap.never, task }
      assert.equal(2, index)
      assert.equal(task, ended)
      assert.is_true(ok)
      index, ended, ok = neap.select { task, default = true } -- Ended already.
      assert.equal(1, index)
      assert.equal(task, ended)
      assert.is_true(ok)
    end)
  end)

  it('takes a context as a case, once ended for ever', function()
    case(function()
      local ctx = neap.context():with_cancel()
      assert.is_nil((neap.select { ctx, default = true }))
      start(function() ctx:cancel('why') end):join()
      for _ = 1, 2 do assert.same({ n = 3, 1, 'why', false }, results(neap.select { ctx })) end
    end)
  end)

  it('lets a case table be reused, its cases disabled and its values changed', function()
    case(function()
      local a, b, out = neap.channel(1), neap.channel(1), neap.channel(1)
      local sending = out:sending 'one'
      local cases = { a, false, false }
      a:send(1)
      assert.equal(1, (neap.select(cases)))
      cases[1], cases[2] = false, b
      a:send(1)
      b:send(2)
      assert.equal(2, (neap.select(cases)))
      cases[2], cases[3] = false, sending
      assert.equal(3, (neap.select(cases)))
      assert.equal('one', (out:recv()))
      sending.value = 'two'
      assert.equal(3, (neap.select(cases)))
      assert.equal('two', (out:recv()))
      cases[4] = a
      cases[3] = false
      assert.equal(4, (neap.select(cases)))
    end)
  end)

  it('sends the value of its case when it has to wait', function()
    case(function()
      for _, capacity in ipairs { 0, 1 } do
        local out, other = neap.channel(capacity), neap.channel()
        for index = 1, capacity do out:send(index) end
        local cases = { other, out:sending { 'item' } }
        local peer = start(function()
          neap.sleep(D / 10)
          local last
          for _ = 0, capacity do last = out:recv() end
          return last
        end)
        assert.same({ n = 2, 2, true }, results(neap.select(cases)))
        assert.same({ 'item' }, (peer:join()))
      end
    end)
  end)

  it('keeps the values of sends that lost', function()
    case(function()
      local a, b, out = neap.channel(), neap.channel(1), neap.channel(1)
      b:send 'kept'
      out:send 'kept too'
      local cases = { a, out:sending 'lost', timeout = D / 10 }
      for _ = 1, 5 do assert.is_nil((neap.select(cases))) end
      assert.same({ n = 2, 'kept', true }, results(b:recv()))
      assert.same({ n = 2, 'kept too', true }, results(out:recv()))
      assert.same({ n = 2 }, results(out:try_recv()))
    end)
  end)

  it('may be entered again with the same cases while it waits', function()
    case(function()
      local ch = neap.channel()
      local cases = { ch }
      local tasks = {}
      for index = 1, 3 do
        tasks[index] = neap.go(function()
          local _, v = neap.select(cases)
          return v
        end)
      end
      settle()
      local sum = 0
      for index = 1, 3 do ch:send(index) end
      for index = 1, 3 do sum = sum + tasks[index]:join() end
      assert.equal(6, sum)
    end)
  end)

  it('is canceled with its task', function()
    case(function()
      local a, out = neap.channel(), neap.channel()
      for _, cases in ipairs { { a }, { a, out:sending 'v' }, { a, timeout = 1000 } } do
        local task = neap.go(function() return neap.select(cases) end)
        settle()
        task:cancel 'why'
        local ok, e = task:wait()
        assert.is_false(ok)
        assert.equal('canceled', e.kind)
      end
      assert.is_false(a:try_send(1))
      assert.same({ n = 2 }, results(out:try_recv()))
    end)
  end)

  it('refuses holes, nonsense and nil to send, and says how to fix it', function()
    local ch = neap.channel(1)
    local e = raises('argument', neap.select, { ch, nil, ch })
    assert.matches('case 2 is nil', e.message)
    assert.matches('false', e.message)
    assert.matches('case 1 is a number', raises('argument', neap.select, { 7 }).message)
    assert.matches('neap.null', raises('argument', neap.select, { ch:sending() }).message)
    raises('argument', neap.select, 7)
    raises('argument', neap.select, { ch, timeout = -1 })
    assert.equal(0, ch:len())
  end)

  it('chooses among 3 kinds of ready cases', function()
    case(function()
      local ch, out = neap.channel(1), neap.channel(1000)
      local ctx = neap.context():with_cancel()
      ctx:cancel()
      local seen, cases = { 0, 0, 0 }, { ch, out:sending(1), ctx }
      for _ = 1, 300 do
        ch:try_send(1)
        local index = neap.select(cases)
        seen[index] = seen[index] + 1
      end
      for index = 1, 3 do assert.is_true(seen[index] > 50, index .. ': ' .. seen[index]) end
    end)
  end)
end)

--- Channels, case by case: conformance.md section 2. Runs with each placement and each loop.
local neap = require 'neap'
local support = require 'behavior.support'
local case, start, park = support.case, support.start, support.park
local raises = support.raises

local NOT_APPLICABLE = {
  ['CH-12'] = 'no nil channel: neap.never and false stand for it in a select (SE-02)',
}

local CAPACITIES = support.quick and { 0, 1, 7 } or { 0, 1, 2, 3, 7, 8, 9, 31, 100, 199 }

local function fill(ch, count)
  for index = 0, count - 1 do ch:send(index) end
end

local function results(...) return { n = select('#', ...), ... } end
local function recv(ch) return ch:recv() end
local function send(ch, v) return ch:send(v) end
local function try_closed(f, ...)
  local ok, e = pcall(f, ...)
  return ok, e.kind, e.message
end

describe('channel', function()
  it('CH-01: an empty channel parks receivers; each send releases one', function()
    for _, capacity in ipairs(CAPACITIES) do
      case(function()
        local ch = neap.channel(capacity)
        assert.same({ n = 2 }, results(ch:try_recv()))
        local first, second = park(recv, ch), park(recv, ch)
        assert.same({ n = 2 }, results(ch:try_recv()))
        ch:send 'a'
        assert.equal('a', (first:join()))
        assert.is_nil(second:wait(0))
        ch:send 'b'
        assert.equal('b', (second:join()))
        assert.equal(0, ch:len())
      end)
    end
  end)

  it('CH-02: a full channel parks senders; one receive lets one finish', function()
    for _, capacity in ipairs(CAPACITIES) do
      case(function()
        local ch = neap.channel(capacity)
        fill(ch, capacity)
        assert.is_false(ch:try_send 'x')
        local sender = park(send, ch, capacity)
        assert.is_false(ch:try_send 'x')
        assert.is_nil(sender:wait(0))
        assert.equal(0, (ch:recv()))
        assert.is_true(sender:join())
        for index = 1, capacity do assert.equal(index, (ch:recv())) end
        assert.equal(0, ch:len())
      end)
    end
  end)

  it('CH-03: what is buffered outlives the close, then nil, false for ever', function()
    for _, capacity in ipairs(CAPACITIES) do
      case(function()
        local ch = neap.channel(capacity)
        fill(ch, capacity)
        ch:close()
        local ended = start(function()
          local seen = {}
          for _ = 1, capacity do
            local v, ok = ch:recv()
            if not ok then return 'early' end
            seen[#seen + 1] = v
          end
          for _ = 1, 3 do
            local v, ok = ch:recv()
            if v ~= nil or ok ~= false then return 'not closed' end
            v, ok = ch:try_recv()
            if v ~= nil or ok ~= false then return 'poll is not closed' end
          end
          return seen
        end)
        local seen = ended:join()
        assert.equal('table', type(seen), seen)
        for index = 1, capacity do assert.equal(index - 1, seen[index]) end
      end)
    end
  end)

  it('CH-04: false, 0, "" and neap.null travel unchanged; nil is refused by name', function()
    for capacity = 0, 1 do
      case(function()
        local ch = neap.channel(capacity)
        local payloads = { false, 0, '', neap.null, true, -0.5, 'x\0y' }
        local sender = start(function()
          for index = 1, #payloads do ch:send(payloads[index]) end
          ch:close()
        end)
        for index = 1, #payloads do
          local v, ok = ch:recv()
          assert.is_true(ok)
          assert.equal(payloads[index], v)
        end
        local v, ok = ch:recv()
        assert.is_nil(v)
        assert.is_false(ok)
        sender:join()
        local open = neap.channel(capacity)
        assert.matches('neap.null', raises('argument', open.send, open, nil).message)
        assert.matches('neap.null', raises('argument', open.try_send, open, nil).message)
      end)
    end
  end)

  it('CH-05: a close wakes every parked receiver with nil, false', function()
    for _, capacity in ipairs { 0, 1, 3 } do
      case(function()
        local ch = neap.channel(capacity)
        local receivers = {}
        for index = 1, 5 do
          receivers[index] = park(function()
            local v, ok = ch:recv()
            return tostring(v), ok
          end)
        end
        ch:close()
        for index = 1, 5 do
          local v, ok = receivers[index]:join()
          assert.equal('nil', v)
          assert.is_false(ok)
        end
      end)
    end
  end)

  it('CH-06: 100 parked receivers are served in parking order', function()
    case(function()
      local ch, receivers = neap.channel(), {}
      for index = 0, 99 do receivers[index] = park(recv, ch) end
      for index = 0, 99 do ch:send(index) end
      for index = 0, 99 do assert.equal(index, (receivers[index]:join())) end
    end)
  end)

  it('CH-07: 100 parked senders are served in parking order', function()
    case(function()
      local ch, senders = neap.channel(), {}
      for index = 0, 99 do senders[index] = park(send, ch, index) end
      for index = 0, 99 do assert.equal(index, (ch:recv())) end
      for index = 0, 99 do assert.is_true(senders[index]:join()) end
    end)
  end)

  it('CH-08: a parked sender refills the place that a receive frees, at once', function()
    case(function()
      local ch = neap.channel(3)
      for index = 0, 9 do park(send, ch, index) end
      assert.equal(3, ch:len())
      for index = 0, 9 do
        assert.equal(index, (ch:recv()))
        assert.equal(math.min(3, 9 - index), ch:len())
      end
    end)
  end)

  it('CH-09: a close fails parked senders, loses their values, keeps the buffered ones', function()
    case(function()
      local ch, senders = neap.channel(2, { name = 'jobs' }), {}
      fill(ch, 2)
      for index = 1, 5 do
        senders[index] = park(function()
          local ok, e = pcall(ch.send, ch, 'lost')
          return ok, e.kind, e.message
        end)
      end
      ch:close()
      for index = 1, 5 do
        local ok, kind, message = senders[index]:join()
        assert.is_false(ok)
        assert.equal('closed', kind)
        assert.matches('send on closed channel', message)
      end
      assert.same({ 0, true }, { ch:recv() })
      assert.same({ 1, true }, { ch:recv() })
      assert.same({ nil, false }, { ch:recv() })
      assert.equal(0, ch:len())
    end)
  end)

  it('CH-10: a send on a closed channel raises every time, polled or in a select', function()
    case(function()
      for capacity = 0, 1 do
        local ch = neap.channel(capacity, { name = 'jobs' })
        start(function() ch:close() end):join()
        for _ = 1, 2 do
          assert.equal('send on closed channel jobs', raises('closed', ch.send, ch, 1).message)
          assert.equal('send on closed channel jobs', raises('closed', ch.try_send, ch, 1).message)
          assert.equal('send on closed channel jobs', raises('closed', ch.send, ch, 1, 0.5).message)
          assert.matches('send on closed channel jobs',
            raises('closed', neap.select, { ch:sending(1) }).message)
          assert.matches('send on closed channel jobs',
            raises('closed', neap.select, { ch:sending(1), default = true }).message)
        end
        assert.same({ nil, false }, { ch:recv() })
        assert.is_true(ch:is_closed())
      end
    end)
  end)

  it('CH-11: closing twice raises', function()
    case(function()
      local ch = neap.channel(1, { name = 'jobs' })
      ch:close()
      local e = raises('closed', ch.close, ch)
      assert.equal('close of closed channel jobs', e.message)
      assert.matches('behavior/.*:%d+', e.where)
      local ok, kind = start(function() return try_closed(ch.close, ch) end):join()
      assert.is_false(ok)
      assert.equal('closed', kind)
    end)
  end)

  it('CH-13: length and capacity; parked senders do not count', function()
    case(function()
      local ch = neap.channel(10)
      assert.same({ 0, 10 }, { ch:len(), ch:capacity() })
      fill(ch, 3)
      assert.same({ 3, 10 }, { ch:len(), ch:capacity() })
      local rendezvous = neap.channel()
      assert.same({ 0, 0 }, { rendezvous:len(), rendezvous:capacity() })
      park(send, rendezvous, 1)
      assert.same({ 0, 0 }, { rendezvous:len(), rendezvous:capacity() })
      rendezvous:recv()
    end)
  end)

  it('CH-14: a negative, fractional or absurd capacity is refused', function()
    for _, capacity in ipairs { -1, 2 ^ 59, 2 ^ 63, 1.5, 0 / 0, math.huge, 2 ^ 30 + 1 } do
      local e = raises('argument', neap.channel, capacity)
      assert.matches('capacity', e.message)
    end
    assert.equal(2 ^ 30, neap.channel(2 ^ 30):capacity()) -- Costs memory only as it is used.
  end)

  it('CH-15: iter runs once for each value, in order, and ends at the close', function()
    case(function()
      for _, capacity in ipairs { 0, 1, 5 } do
        local ch = neap.channel(capacity)
        start(function()
          for index = 1, 20 do ch:send(index) end
          ch:close()
        end)
        local seen = {}
        for v in ch:iter() do seen[#seen + 1] = v end
        assert.equal(20, #seen)
        for index = 1, 20 do assert.equal(index, seen[index]) end
        for _ in ch:iter() do error 'a closed, empty channel iterates' end
      end
    end)
  end)

  it('CH-15: iter goes on past false', function()
    case(function()
      local ch = neap.channel(3)
      ch:send(false)
      ch:send(0)
      ch:close()
      local seen = {}
      for v in ch:iter() do seen[#seen + 1] = v end
      assert.same({ false, 0 }, seen)
    end)
  end)

  it('CH-16: every value of 4 producers is seen 4 times, in each producer’s order', function()
    local COUNT = support.quick and 100 or 1000
    for _, capacity in ipairs(support.quick and { 0, 3 } or { 0, 1, 10, 199 }) do
      case(function()
        local ch, consumers = neap.channel(capacity), {}
        for _ = 1, 4 do
          start(function()
            for index = 0, COUNT - 1 do ch:send(index) end
          end)
        end
        for number = 1, 4 do
          local run = number % 2 == 0 and start or neap.go
          consumers[number] = run(function()
            local seen = {}
            for index = 1, COUNT do seen[index] = ch:recv() end
            return seen
          end)
        end
        local times = {}
        for number = 1, 4 do
          local seen = consumers[number]:join()
          for index = 1, COUNT do times[seen[index]] = (times[seen[index]] or 0) + 1 end
        end
        for index = 0, COUNT - 1 do assert.equal(4, times[index]) end
      end)
    end
  end)

  it('CH-16: a producer’s values stay in order at each consumer', function()
    case(function()
      local ch, consumers = neap.channel(5), {}
      local producers = {}
      for number = 1, 3 do
        producers[number] = start(function()
          for index = 1, 100 do ch:send { producer = number, index = index } end
        end)
      end
      for number = 1, 3 do
        consumers[number] = (number == 1 and neap.go or start)(function()
          local last, count = { 0, 0, 0 }, 0
          for item in ch:iter() do
            if item.index <= last[item.producer] then return 'out of order' end
            last[item.producer] = item.index
            count = count + 1
          end
          return count
        end)
      end
      for number = 1, 3 do producers[number]:join() end
      ch:close()
      local count = 0
      for number = 1, 3 do count = count + consumers[number]:join() end
      assert.equal(300, count)
    end)
  end)

  it('CH-17: what was written before a send or a close is seen after the receive', function()
    case(function()
      for _, ending in ipairs { 'send', 'close' } do
        local x, ch = neap.atomic(), neap.channel(1)
        start(function()
          x:store(1)
          if ending == 'send' then ch:send(true) else ch:close() end
        end)
        ch:recv()
        assert.equal(1, x:load())
      end
      local x, ch = neap.atomic(), neap.channel()
      start(function()
        x:store(1)
        ch:recv()
      end)
      ch:send(true)
      assert.equal(1, x:load()) -- Unbuffered: the receive's past is visible after the send.
    end)
  end)

  it('CH-18: a channel of capacity 3 is a semaphore for 3', function()
    case(function()
      local places, inside, most = neap.channel(3), neap.atomic(), neap.atomic()
      local tasks = {}
      for number = 1, 64 do
        tasks[number] = (number % 2 == 0 and start or neap.go)(function()
          places:send(true)
          most:max(inside:add(1))
          neap.yield()
          inside:sub(1)
          places:recv()
        end)
      end
      for number = 1, 64 do tasks[number]:join() end
      assert.is_true(most:load() <= 3)
      assert.equal(0, inside:load())
    end)
  end)

  it('CH-19: a channel of channels', function()
    case(function()
      local outer, inner = neap.channel(1), neap.channel(1)
      start(function() outer:send(inner) end):join()
      assert.is_true((outer:recv()):send('deep'))
      assert.equal('deep', (start(recv, inner):join()))
    end)
  end)

  it('covers section 2', function()
    support.covers('spec/behavior/channel_spec.lua', 'CH', 19, NOT_APPLICABLE)
  end)
end)

describe('channel (placement ' .. (support.spread and 'spread' or 'one') .. ')', function()
  it('gives up a receive when its timeout passes, and stays usable', function()
    case(function()
      local ch = neap.channel()
      local before = neap.now()
      assert.same({ n = 2, nil, nil }, { n = select('#', ch:recv(support.D)), ch:recv(0) })
      assert.is_true(neap.now() - before >= support.D)
      local peer = start(send, ch, 'v')
      assert.same({ 'v', true }, { ch:recv(10) })
      assert.is_true(peer:join())
    end)
  end)

  it('gives up a send when its timeout passes, and the value is not delivered', function()
    case(function()
      for capacity = 0, 1 do
        local ch = neap.channel(capacity)
        fill(ch, capacity)
        local before = neap.now()
        assert.is_false(ch:send('late', support.D))
        assert.is_true(neap.now() - before >= support.D)
        assert.is_false(ch:send('late', 0))
        if capacity == 1 then assert.equal(0, (ch:recv())) end
        assert.same({ nil, nil }, { ch:try_recv() })
        local peer = start(recv, ch)
        assert.is_true(ch:send('v', 10))
        assert.equal('v', (peer:join()))
      end
    end)
  end)

  it('serves the next waiter after one that timed out', function()
    case(function()
      local ch = neap.channel()
      local D = support.D
      local early = park(function() return select('#', ch:recv(D / 10)), (ch:recv(0)) end)
      local late = park(recv, ch)
      early:join()
      ch:send 'v'
      assert.equal('v', (late:join()))
    end)
  end)

  it('drops the new or the old, or raises limit, when that is its overflow', function()
    case(function()
      local new = neap.channel(2, { overflow = 'drop_new' })
      local old = neap.channel(2, { overflow = 'drop_old' })
      local strict = neap.channel(2, { overflow = 'error', name = 'jobs' })
      local peer = start(function()
        for index = 1, 4 do
          if not new:send(index) or not old:send(index) then return 'a send was refused' end
        end
        strict:send(1)
        strict:try_send(2)
        local ok, e = pcall(strict.send, strict, 3)
        local ok2, e2 = pcall(strict.try_send, strict, 3)
        return ok, e.kind, ok2, e2.kind, e.message
      end)
      local ok, kind, ok2, kind2, message = peer:join()
      assert.same({ false, 'limit', false, 'limit' }, { ok, kind, ok2, kind2 })
      assert.matches(support.spread and 'channel' or 'channel jobs', message)
      assert.same({ 2, 1, 2 }, { new:len(), (new:recv()), (new:recv()) })
      assert.same({ 2, 3, 4 }, { old:len(), (old:recv()), (old:recv()) })
      assert.same({ 2, 2, 0 }, { new:dropped(), old:dropped(), strict:dropped() })
      assert.same({ 1, 2 }, { (strict:recv()), (strict:recv()) })
    end)
  end)

  it('hands to a waiting receiver before it drops anything', function()
    case(function()
      for _, overflow in ipairs { 'drop_new', 'drop_old', 'error' } do
        local ch = neap.channel(0, { overflow = overflow })
        local peer = park(recv, ch)
        assert.is_true(ch:send 'v')
        assert.equal('v', (peer:join()))
        assert.equal(0, ch:dropped())
        if overflow ~= 'error' then
          assert.is_true(ch:send 'w')
          assert.equal(1, ch:dropped())
        else
          raises('limit', ch.send, ch, 'w')
        end
      end
    end)
  end)

  it('has views of one direction', function()
    case(function()
      local ch = neap.channel(1, { name = 'jobs' })
      local source, sink = ch:receive_only(), ch:send_only()
      sink:send 'v'
      assert.equal('v', (start(recv, source):join()))
      assert.matches('receive%-only', raises('argument', source.send, source, 1).message)
      assert.matches('receive%-only', raises('argument', source.close, source).message)
      assert.matches('send%-only', raises('argument', sink.recv, sink).message)
      start(send, sink, 'w'):join()
      assert.same({ 1, 'w', true }, { neap.select { source } })
      raises('argument', neap.select, { sink })
      sink:close()
      assert.is_true(source:is_closed())
    end)
  end)

  it('keeps references on one worker and copies between two', function()
    case(function()
      local ch, item = neap.channel(1), { 1 }
      local peer = park(function()
        local got = ch:recv()
        got[1] = got[1] + 1
        return got
      end)
      ch:send(item)
      local back = peer:join()
      assert.equal(2, back[1])
      if support.spread then
        assert.equal(1, item[1])
      else
        assert.equal(item, back)
        assert.equal(2, item[1])
      end
    end)
  end)

  it('takes what it holds along when it is promoted', function()
    support.real(function()
      local ch = neap.channel(3)
      ch:send { a = { 1, 2 } }
      ch:send 'text'
      local parked = {}
      for index = 1, 3 do parked[index] = neap.go(send, ch, index) end
      neap.sleep(0)
      local values = neap.spawn(function()
        local list = {}
        for _ = 1, 5 do list[#list + 1] = ch:recv() end
        return list
      end):join()
      assert.same({ { a = { 1, 2 } }, 'text', 1, 2, 3 }, values)
      for index = 1, 3 do assert.is_true(parked[index]:join()) end
    end)
  end)

  it('stays local when something in it cannot travel, and says what', function()
    support.real(function()
      local ch = neap.channel(2, { name = 'jobs' })
      local item = { logger = coroutine.create(print) }
      ch:send(1)
      ch:send(item)
      local e = raises('unsendable', neap.spawn, function() return ch:recv() end)
      assert.matches('channel jobs', e.message)
      assert.matches('logger', e.message)
      assert.equal(1, (ch:recv()))
      assert.equal(item, (ch:recv()))
    end)
  end)

  it('refuses at the send what cannot travel when it is shared', function()
    support.real(function()
      local ch = neap.channel(1, { shared = true })
      local e = raises('unsendable', ch.send, ch, { job = { co = coroutine.create(print) } })
      assert.matches('job%.co', e.message)
      raises('unsendable', ch.try_send, ch, { co = coroutine.create(print) })
      assert.equal(0, ch:len())
    end)
  end)

  it('takes every kind of value through', function()
    case(function()
      local ch = neap.channel(1)
      local text, other = ('x'):rep(100000), neap.channel(1)
      local values = {
        1.5, -2 ^ 53, 'short', text, true, false, neap.null, { 1, { 2, x = 'y' } }, other,
      }
      local echo = neap.channel(1)
      start(function()
        for v in ch:iter() do echo:send(v) end
      end)
      for index = 1, #values do
        ch:send(values[index])
        local back = echo:recv()
        if type(values[index]) == 'table' and values[index] ~= neap.null and index == 8 then
          assert.same(values[index], back)
        else
          assert.equal(values[index], back)
        end
      end
      ch:close()
    end)
  end)

  it('names itself', function()
    local ch = neap.channel(3, { name = 'jobs' })
    ch:send(1)
    assert.equal('channel jobs (1 of 3)', tostring(ch))
    ch:close()
    assert.equal('channel jobs (1 of 3, closed)', tostring(ch))
  end)

  it('lets a task that never blocks give way', function()
    case(function()
      local ch, turns = neap.channel(1), 0
      local other = neap.go(function()
        for _ = 1, 5 do
          turns = turns + 1
          neap.yield()
        end
      end)
      for index = 1, 20000 do
        ch:send(index)
        ch:recv()
      end
      assert.equal(5, turns)
      other:join()
    end)
  end)
end)

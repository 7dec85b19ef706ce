--- Tasks: starting, joining, failing, canceling, cleaning up. Runs with each placement and loop.
local neap = require 'neap'
local support = require 'behavior.support'
local case, start, settle = support.case, support.start, support.settle
local raises, D = support.raises, support.D

local function results(...) return { n = select('#', ...), ... } end

describe('task (placement ' .. (support.spread and 'spread' or 'one') .. ')', function()
  it('takes arguments and gives results, nils included', function()
    case(function()
      assert.same({ n = 0 }, results(start(function() end):join()))
      assert.same({ n = 1, 'v' }, results(start(function() return 'v' end):join()))
      assert.same({ n = 1 }, results(start(function() return nil end):join()))
      assert.same({ n = 4, nil, 2, nil, nil }, results(start(function(...)
        return ...
      end, nil, 2, nil, nil):join()))
      assert.equal(3, (start(function(...) return select('#', ...) end, 'a', nil, nil):join()))
      assert.equal(0, (start(function(...) return select('#', ...) end):join()))
    end)
  end)

  it('may be joined often, by many, before and after its end', function()
    case(function()
      local gate = neap.channel()
      local task = start(function()
        gate:recv()
        return 'v', 2
      end)
      local joiners = {}
      for index = 1, 5 do joiners[index] = neap.go(function() return task:join() end) end
      gate:send(true)
      for index = 1, 5 do assert.same({ n = 2, 'v', 2 }, results(joiners[index]:join())) end
      assert.same({ n = 2, 'v', 2 }, results(task:join()))
      assert.same({ n = 3, true, 'v', 2 }, results(task:wait()))
    end)
  end)

  it('is waited for without raising', function()
    case(function()
      local gate = neap.channel()
      local task = start({ isolated = true } and function()
        gate:recv()
        return 'v'
      end)
      assert.same({ n = 1 }, results(task:wait(D / 10)))
      assert.same({ n = 1 }, results(task:wait(0)))
      gate:send(true)
      assert.same({ n = 2, true, 'v' }, results(task:wait(100)))
      raises('argument', task.wait, task, -1)
    end)
  end)

  it('fails with the error object of what it raised', function()
    case(function()
      local run = support.spread and neap.spawn or neap.go
      local task = run({ name = 'loader', isolated = true }, function()
        neap.yield()
        error('boom', 1)
      end)
      local e = raises('error', task.join, task)
      assert.matches('task_spec.lua:%d+: boom$', e.message)
      assert.matches('task_spec.lua:%d+: boom$', e.value)
      assert.matches('task_spec.lua:%d+', e.traceback)
      assert.equal('loader', e.task)
      assert.matches('^error: .*task_spec.lua:%d+: boom', tostring(e))
      assert.matches('in task loader', e:report())
      assert.same({ false, e.message }, { (task:wait()), select(2, task:wait()).message })
      assert.equal('failed', task:status())
    end)
  end)

  it('keeps what user code raised in e.value', function()
    case(function()
      local run = support.spread and neap.spawn or neap.go
      for _, value in ipairs { 7, false, { code = 7 }, neap.null } do
        local task = run({ isolated = true }, function() error(value, 0) end)
        local e = raises('error', task.join, task)
        if type(value) == 'table' and value.code then
          assert.equal(7, e.value.code)
        else
          assert.equal(value, e.value)
        end
      end
    end)
  end)

  it('keeps kinds of errors across workers', function()
    case(function()
      local ch = neap.channel(0, { name = 'jobs' })
      ch:close()
      local run = support.spread and neap.spawn or neap.go
      local task = run({ isolated = true }, function() ch:send(1) end)
      local e = raises('closed', task.join, task)
      assert.matches('send on closed channel', e.message)
      assert.matches('task_spec.lua:%d+', e.traceback)
      local caused = run({ isolated = true }, function()
        local ok, inner = pcall(ch.send, ch, 1)
        error(ok and 'sent' or inner, 0)
      end)
      assert.equal('closed', raises('closed', caused.join, caused).kind)
    end)
  end)

  it('cancels its scope with an error that nobody came for first', function()
    case(function()
      local slow, seen
      local ok, e = pcall(neap.scope, function()
        slow = neap.go(function()
          local fine, failure = pcall(neap.sleep, 1000)
          seen = fine and 'slept' or failure.kind
          neap.sleep(1000)
        end)
        start(function() error 'boom' end)
        neap.sleep(1000)
      end)
      assert.is_false(ok)
      assert.matches('boom', e.message)
      assert.equal('error', e.kind)
      assert.equal('canceled', seen)
      assert.equal('canceled', slow:status())
    end)
  end)

  it('raises its own error in join although the scope is canceled by it', function()
    case(function()
      local seen
      local ok, e = pcall(neap.scope, function()
        local gate = neap.channel()
        local task = start(function()
          gate:recv()
          error 'boom'
        end)
        neap.go(function() gate:send(true) end) -- Once join has parked.
        local fine, failure = pcall(task.join, task)
        seen = { fine, failure.kind, failure.message:match 'boom' }
      end)
      assert.is_false(ok)
      assert.equal('error', e.kind)
      assert.same({ false, 'error', 'boom' }, seen)
    end)
  end)

  it('isolated: its error waits for join and leaves the scope alone', function()
    case(function()
      local run = support.spread and neap.spawn or neap.go
      local slept = neap.scope(function()
        local task = run({ isolated = true }, function() error 'boom' end)
        neap.sleep(D / 10)
        assert.is_false((pcall(task.join, task)))
        return true
      end)
      assert.is_true(slept)
      neap.scope(function()
        assert.is_false((run({ isolated = true }, function() error 'boom' end):wait()))
      end)
    end)
  end)

  it('isolated: the scope raises at its end what nobody came for', function()
    case(function()
      local run, ended = support.spread and neap.spawn or neap.go, false
      local e = raises('error', neap.scope, function()
        run({ isolated = true }, function() error 'boom' end)
        neap.sleep(D / 10)
        ended = true
      end)
      assert.is_true(ended)
      assert.matches('boom', e.message)
    end)
  end)

  it('daemon: is canceled and awaited when the others have ended', function()
    case(function()
      local run = support.spread and neap.spawn or neap.go
      local log, gate = neap.channel(10), neap.channel()
      neap.scope(function()
        run({ daemon = true }, function()
          neap.defer(function()
            neap.sleep(D / 10)
            log:send 'daemon ended'
          end)
          neap.sleep(1000)
        end)
        settle()
        start(function()
          gate:recv()
          log:send 'worker ended'
        end)
        log:send 'body ended'
        gate:send(true)
      end)
      log:close()
      local lines = {}
      for line in log:iter() do lines[#lines + 1] = line end
      assert.same({ 'body ended', 'worker ended', 'daemon ended' }, lines)
    end)
  end)

  it('daemon: its children are daemons too', function()
    case(function()
      local run, ended = support.spread and neap.spawn or neap.go, neap.atomic()
      neap.scope(function()
        run({ daemon = true }, function()
          neap.go(function()
            neap.defer(function() ended:add(1) end)
            neap.sleep(1000)
          end)
          neap.sleep(1000)
        end)
        neap.sleep(D / 10)
      end)
      assert.equal(1, ended:load())
    end)
  end)

  it('daemon: its error fails the scope', function()
    case(function()
      local run = support.spread and neap.spawn or neap.go
      local e = raises('error', neap.scope, function()
        run({ daemon = true }, function() error 'boom' end)
        neap.sleep(1000)
      end)
      assert.matches('boom', e.message)
    end)
  end)

  it('canceled: ends at its next blocking call, and that is no failure', function()
    case(function()
      local log = neap.channel(3)
      local value = neap.scope(function()
        local task = start(function()
          neap.defer(function() log:send 'deferred' end)
          neap.sleep(1000)
          log:send 'never'
        end)
        settle()
        task:cancel 'enough'
        local e = raises('canceled', task.join, task)
        assert.equal('enough', e.cause)
        assert.equal('canceled', task:status())
        local ok, failure = task:wait()
        assert.is_false(ok)
        assert.equal('canceled', failure.kind)
        return 'goes on'
      end)
      assert.equal('goes on', value)
      log:close()
      assert.equal('deferred', (log:recv()))
      assert.same({ n = 2, nil, false }, results(log:recv()))
    end)
  end)

  it('canceled: from any wait, and only once', function()
    case(function()
      local ch, full = neap.channel(), neap.channel(1)
      full:send(1)
      local other = neap.go(function() ch:recv() end)
      local waits = {
        function() ch:recv() end, function() full:send(2) end, function() neap.sleep(1000) end,
        function() neap.select { ch } end, function() neap.select {} end,
        function() neap.scope(function() neap.go(function() neap.sleep(1000) end) end) end,
        function() neap.scope(function() neap.sleep(1000) end) end,
      }
      for index, wait in ipairs(waits) do
        local task = start(wait)
        settle()
        task:cancel(index)
        task:cancel 'again'
        assert.equal(index, raises('canceled', task.join, task).cause, index)
      end
      assert.equal(1, full:len())
      ch:send(true)
      other:join()
    end)
  end)

  it('canceled before it has begun: runs to its first blocking call', function()
    support.bubble(function()
      local steps = {}
      local task = neap.go(function()
        steps[1] = 'begun'
        neap.sleep(1)
        steps[2] = 'slept'
      end)
      task:cancel()
      assert.is_false((task:wait()))
      assert.same({ 'begun' }, steps)
    end)
  end)

  it('canceled when it has ended: nothing', function()
    case(function()
      local task = start(function() return 'v' end)
      task:join()
      task:cancel()
      assert.equal('v', (task:join()))
      assert.equal('done', task:status())
    end)
  end)

  it('canceled with its swallowed error: raises again', function()
    case(function()
      local count = neap.atomic()
      local task = start(function()
        for _ = 1, 3 do
          local ok, e = pcall(neap.sleep, 1000)
          if not ok and e.kind == 'canceled' then count:add(1) end
        end
        return 'survived'
      end)
      settle()
      task:cancel()
      assert.equal('survived', (task:join()))
      assert.equal(3, count:load())
    end)
  end)

  it('may be handed to others, who join and cancel it', function()
    case(function()
      local gate = neap.channel()
      local task = neap.go(function()
        gate:recv()
        return { 'result' }
      end)
      local waiter = start(function() return task:join() end)
      settle()
      gate:send(true)
      assert.same({ 'result' }, (waiter:join()))
      local long = neap.go(neap.sleep, 1000)
      start(function() long:cancel 'from afar' end):join()
      assert.equal('from afar', raises('canceled', long.join, long).cause)
    end)
  end)

  it('fails when its results cannot travel to those who wait elsewhere', function()
    support.real(function()
      local task = neap.spawn({ isolated = true }, function()
        return { co = coroutine.create(print) }
      end)
      local e = raises('unsendable', task.join, task)
      assert.matches('co', e.message)
    end)
  end)
end)

describe('task', function()
  it('says how it stands', function()
    support.bubble(function()
      local ch, me = neap.channel(), nil
      local task = neap.go(function()
        me = neap.self():status()
        ch:recv()
      end)
      assert.equal('ready', task:status())
      settle()
      assert.equal('running', me)
      assert.equal('waiting', task:status())
      ch:send(true)
      assert.equal('ready', task:status())
      task:join()
      assert.equal('done', task:status())
      local failing = neap.go({ isolated = true }, error)
      failing:wait()
      assert.equal('failed', failing:status())
    end)
  end)

  it('has a name and an id', function()
    support.bubble(function()
      local named = neap.go({ name = 'loader' }, function() return neap.self().name end)
      assert.equal('loader', named.name)
      assert.matches('^task loader %(', tostring(named))
      assert.equal('loader', (named:join()))
      local plain = neap.go(function() return neap.self().id end)
      assert.is_nil(plain.name)
      assert.matches('^task %d+ %(', tostring(plain))
      local id = plain.id
      assert.equal(id, (plain:join()))
      assert.is_true(id ~= named.id)
    end)
  end)

  it('start in the order of their go', function()
    support.bubble(function()
      local order = {}
      for index = 1, 5 do neap.go(function() order[#order + 1] = index end) end
      settle()
      assert.same({ 1, 2, 3, 4, 5 }, order)
    end)
  end)

  it('spawn copies function, upvalues and arguments at the call', function()
    support.real(function()
      local shared, item = { 1 }, { 'a' }
      local task = neap.spawn(function(got)
        shared[1] = shared[1] + 1
        return shared[1], got[1]
      end, item)
      shared[1], item[1] = 100, 'b'
      assert.same({ 2, 'a' }, { task:join() })
      assert.equal(100, shared[1])
    end)
  end)

  it('spawn in a bubble copies too, and runs here', function()
    support.bubble(function()
      local item = { 'a' }
      local task = neap.spawn(function(got)
        neap.sleep(5)
        got[1] = 'changed'
        return got[1], neap.now()
      end, item)
      assert.same({ 'changed', 946684805 }, { task:join() })
      assert.equal('a', item[1])
    end)
  end)

  it('spawn runs on the worker that was asked for', function()
    support.real(function()
      local e = raises('argument', neap.spawn, { worker = 250 }, print)
      assert.matches('worker 250', e.message)
      for worker = 1, neap.workers() do
        local task = neap.spawn({ worker = worker }, function()
          local list = neap.tasks()
          return list[1].worker
        end)
        assert.equal(worker, (task:join()))
      end
    end)
  end)

  it('refuses what is no function, and misspelt options', function()
    support.real(function()
      for _, begin in ipairs { neap.go, neap.spawn } do
        assert.matches('expected a function, got nil', raises('argument', begin, nil).message)
        assert.matches('expected a function', raises('argument', begin, {}, 7).message)
        assert.matches('daemon', raises('argument', begin, { deamon = true }, print).message)
        local e = raises('argument', function() return begin(type, ''):jion() end)
        assert.matches('join', e.message)
      end
    end)
  end)

  it('accepts callable tables', function()
    support.bubble(function()
      local callable = setmetatable({}, { __call = function(_, v) return v end })
      assert.equal('v', (neap.go({}, callable, 'v'):join()))
    end)
  end)
end)

describe('defer', function()
  local function run_task(fn)
    return neap.go({ isolated = true }, fn)
  end

  it('runs last first, with its arguments, after the results are made', function()
    support.bubble(function()
      local order = {}
      local function add(...) order[#order + 1] = { n = select('#', ...), ... } end
      local task = run_task(function()
        neap.defer(add, 'first')
        neap.defer(add, nil, 2)
        neap.defer(add)
        add 'body'
        return #order
      end)
      assert.equal(1, (task:join()))
      assert.same({ { n = 1, 'body' }, { n = 0 }, { n = 2, nil, 2 }, { n = 1, 'first' } }, order)
    end)
  end)

  it('runs after an error and after a cancel, and may block', function()
    support.bubble(function()
      local order, ch = {}, neap.channel()
      local failing = run_task(function()
        neap.defer(function()
          neap.sleep(1)
          order[#order + 1] = 'after the error'
        end)
        error 'boom'
      end)
      assert.matches('boom', raises('error', failing.join, failing).message)
      local task = run_task(function()
        neap.defer(function() order[#order + 1] = 'cleaned: ' .. ch:recv() end)
        neap.defer(neap.sleep, 1)
        neap.sleep(1000)
      end)
      settle()
      task:cancel()
      ch:send 'v'
      raises('canceled', task.join, task)
      assert.same({ 'after the error', 'cleaned: v' }, order)
    end)
  end)

  it('runs when the whole scope is canceled', function()
    support.bubble(function()
      local order = {}
      local ctx = neap.context():with_cancel()
      pcall(neap.with_context, ctx, function()
        for index = 1, 3 do
          neap.go(function()
            neap.defer(function()
              neap.sleep(index)
              order[#order + 1] = index
            end)
            neap.sleep(1000)
          end)
        end
        settle()
        ctx:cancel()
        neap.sleep(1000)
      end)
      assert.same({ 1, 2, 3 }, order)
    end)
  end)

  it('has the grace that was configured, for all of them together', function()
    support.bubble(function()
      neap.configure { grace = 2 }
      local seen = {}
      local task = run_task(function()
        neap.defer(function()
          local ok, e = pcall(neap.sleep, 1)
          seen[2] = ok or e.kind
        end)
        neap.defer(function()
          local ok, e = pcall(neap.sleep, 1.5)
          seen[1] = ok or e.kind
        end)
        neap.sleep(1000)
      end)
      settle()
      task:cancel()
      local before = neap.now()
      task:wait()
      assert.equal(2, neap.now() - before)
      assert.same({ true, 'deadline' }, seen)
      neap.configure { grace = 5 }
    end)
  end)

  it('goes on with the others when one raises; its error fails a task that had none', function()
    support.bubble(function()
      local order = {}
      local task = run_task(function()
        neap.defer(function() order[#order + 1] = 'runs' end)
        neap.defer(function() error 'in a deferred function' end)
      end)
      assert.matches('in a deferred function', raises('error', task.join, task).message)
      assert.same({ 'runs' }, order)
      task = run_task(function()
        neap.defer(function() error 'second' end)
        error 'first'
      end)
      assert.matches('first', raises('error', task.join, task).message)
    end)
  end)

  it('DL-09: belongs to its own task; what pcall caught affects nobody', function()
    support.bubble(function()
      local order = {}
      local waiting = neap.go(function()
        neap.defer(function() order[#order + 1] = 'other' end)
        neap.sleep(5)
      end)
      local task = neap.go(function()
        neap.defer(function() order[#order + 1] = 'own' end)
        local ok = pcall(error, 'caught')
        return ok
      end)
      assert.is_false((task:join()))
      assert.same({ 'own' }, order)
      waiting:join()
      assert.same({ 'own', 'other' }, order)
    end)
  end)

  it('may start tasks, which are awaited, and may defer more', function()
    support.bubble(function()
      local order = {}
      local task = run_task(function()
        neap.defer(function()
          neap.go(function()
            neap.sleep(1)
            order[#order + 1] = 'child'
          end)
          neap.defer(function() order[#order + 1] = 'nested' end)
        end)
      end)
      task:join()
      table.sort(order)
      assert.same({ 'child', 'nested' }, order)
    end)
  end)

  it('outside any task raises state', function()
    if not support.own then
      assert.matches('neap.run', raises('state', neap.defer, print).message)
    end
    support.bubble(function() raises('argument', neap.defer, nil) end)
  end)
end)

describe('shield', function()
  it('holds a cancellation off until it is over', function()
    support.bubble(function()
      local steps = {}
      local task = neap.go(function()
        steps[1] = neap.shield(function(v)
          neap.sleep(2)
          return v
        end, 'done inside')
        neap.sleep(1)
        steps[2] = 'not reached'
      end)
      settle()
      task:cancel()
      local before = neap.now()
      raises('canceled', task.join, task)
      assert.equal(2, neap.now() - before)
      assert.same({ 'done inside' }, steps)
    end)
  end)

  it('holds off the end of an outer context too, and its deadline', function()
    support.bubble(function()
      local inside
      local e = raises('deadline', neap.with_timeout, 1, function()
        neap.shield(function()
          neap.sleep(3)
          inside = neap.context():deadline() == nil
        end)
        neap.sleep(1)
      end)
      assert.equal('deadline', e.kind)
      assert.is_true(inside)
    end)
  end)

  it('passes results and errors on', function()
    support.bubble(function()
      local function same(...) return ... end
      assert.same({ n = 3, 1, nil, 3 }, results(neap.shield(same, 1, nil, 3)))
      local e = raises('error', neap.shield, function() error({ code = 7 }) end)
      assert.equal(7, e.value.code)
      raises('argument', neap.shield, 7)
    end)
  end)
end)

describe('a coroutine of one’s own', function()
  it('must not block: state, in the task that did it', function()
    case(function()
      local ch = neap.channel()
      local task = neap.go({ isolated = true }, function()
        local wrapped = coroutine.wrap(function() ch:recv() end)
        wrapped()
        neap.sleep(1)
      end)
      local e = raises('state', task.join, task)
      assert.matches('coroutine of your own', e.message)
      assert.is_false(ch:try_send(1)) -- It waits no more.
    end)
  end)

  it('must not block: also when the task ends right after', function()
    case(function()
      local ch = neap.channel()
      local waits = {
        function() ch:recv() end, function() ch:send(1) end, function() neap.sleep(1) end,
        function() neap.select { ch } end, function() neap.yield() end,
      }
      for index, wait in ipairs(waits) do
        local task = neap.go({ isolated = true }, function() coroutine.wrap(wait)() end)
        assert.equal('state', raises('state', task.join, task).kind, index)
      end
      assert.is_false(ch:try_send(1))
      assert.same({ n = 2 }, results(ch:try_recv()))
    end)
  end)

  it('may do what does not block', function()
    case(function()
      local ch = neap.channel(10)
      local task = neap.go(function()
        local generate = coroutine.wrap(function()
          for index = 1, 3 do
            ch:send(index)
            coroutine.yield(ch:recv())
          end
        end)
        return generate() + generate() + generate()
      end)
      assert.equal(6, (task:join()))
    end)
  end)

  it('is like a callback of sort, gsub or require: a blocking call in one raises', function()
    case(function()
      local ch = neap.channel()
      local callbacks = {
        function() table.sort({ 2, 1 }, function(a, b) ch:recv() return a < b end) end,
        function() return (('abc'):gsub('b', function() ch:recv() end)) end,
        function()
          package.preload.blocks = function() ch:recv() end
          require 'blocks'
        end,
      }
      for index, callback in ipairs(callbacks) do
        local task = neap.go({ isolated = true }, function()
          local ok, e = pcall(callback)
          neap.sleep(D / 100) -- The wait that could not yield is taken back.
          return ok, e
        end)
        local ok, fine, e = task:wait()
        if ok then
          assert.is_false(fine, index)
          assert.matches('yield across C%-call boundary', tostring(e), index)
        else
          assert.equal('state', fine.kind, index)
        end
      end
      package.preload.blocks = nil
      assert.is_false(ch:try_send(1))
    end)
  end)
end)

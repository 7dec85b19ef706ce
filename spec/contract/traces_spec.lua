--- What the compiler makes of hot paths: a program with 200 call sites must not make traces
--- without bound, and loops over channels must be compiled, not aborted again and again.
local neap = require 'neap'
local helper = require 'spec_helper'
local support = require 'behavior.support'

local own = helper.loop == 'own'
-- A stock LuaJIT throws all traces away when it has 1,000: a program as large would always storm.
local SITES = own and 200 or 50

-- Counts what the compiler does while `fn` runs.
local function count(fn)
  local seen = { started = 0, stopped = 0, aborted = 0, flushed = 0 }
  local function note(what)
    if what == 'start' then seen.started = seen.started + 1 end
    if what == 'stop' then seen.stopped = seen.stopped + 1 end
    if what == 'abort' then seen.aborted = seen.aborted + 1 end
    if what == 'flush' then seen.flushed = seen.flushed + 1 end
  end
  jit.flush()
  jit.attach(note, 'trace')
  local ok, e = pcall(fn)
  jit.attach(note)
  if not ok then error(e, 0) end
  return seen
end

local function describe_counts(seen)
  return ('%d traces, %d aborts, %d flushes'):format(seen.stopped, seen.aborted, seen.flushed)
end

-- A program of many call sites: each is a function of its own text, as in a large program.
local function call_sites(text)
  local sites = {}
  for index = 1, SITES do
    sites[index] = assert(loadstring(text:gsub('N', tostring(index)), '=site' .. index))()
  end
  return sites
end

local function run_sites(capacity, sender_text, receiver_text, rounds)
  local senders, receivers = call_sites(sender_text), call_sites(receiver_text)
  return count(function()
    neap.run(function()
      for index = 1, SITES do
        local ch = neap.channel(capacity)
        neap.go(senders[index], ch, rounds)
        neap.go(receivers[index], ch, rounds)
      end
    end)
  end)
end

local SENDER = [[
  return function(ch, rounds)
    for index = 1, rounds do ch:send(index + N) end
  end]]

local RECEIVER = [[
  return function(ch, rounds)
    local sum = 0
    for _ = 1, rounds do sum = sum + ch:recv() - N end
    assert(sum == rounds * (rounds + 1) / 2)
  end]]

local SELECTOR = [[
  local neap = require 'neap'
  return function(ch, rounds)
    local cases, sum = { ch, neap.never }, 0
    for _ = 1, rounds do
      local _, v = neap.select(cases)
      sum = sum + v - N
    end
    assert(sum == rounds * (rounds + 1) / 2)
  end]]

describe('traces', function()
  local ROUNDS = helper.quick and 200 or 400
  -- Both loops of a site and what each needs besides: one trace for the park and one for the
  -- way on are what we aim at; ten a site is far from a storm.
  local BOUND = 10 * SITES

  for _, capacity in ipairs { 0, 100 } do
    it(('send and recv at %d call sites, capacity %d, stay few'):format(SITES, capacity), function()
      local seen = run_sites(capacity, SENDER, RECEIVER, ROUNDS)
      assert.is_true(seen.stopped <= BOUND, describe_counts(seen))
      assert.is_true(seen.aborted <= BOUND, describe_counts(seen))
    end)
  end

  it(('select at %d call sites stays few'):format(SITES), function()
    local seen = run_sites(0, SENDER, SELECTOR, ROUNDS)
    assert.is_true(seen.stopped <= BOUND, describe_counts(seen))
    assert.is_true(seen.aborted <= BOUND, describe_counts(seen))
  end)

  it('a buffered loop of one task is compiled, and stays so', function()
    local seen = count(function()
      neap.run(function()
        local ch = neap.channel(10)
        for index = 1, 100000 do
          ch:send(index)
          assert(ch:recv() == index)
        end
      end)
    end)
    assert.is_true(seen.stopped >= 1, describe_counts(seen))
    assert.is_true(seen.stopped <= 40, describe_counts(seen))
    assert.is_true(seen.aborted <= 40, describe_counts(seen))
  end)

  it('an unbuffered loop of two tasks is compiled, and stays so', function()
    local function loop(rounds)
      return count(function()
        neap.run(function()
          local ch = neap.channel()
          neap.go(function()
            for index = 1, rounds do ch:send(index) end
            ch:close()
          end)
          local sum = 0
          for v in ch:iter() do sum = sum + v end
          assert(sum == rounds * (rounds + 1) / 2)
        end)
      end)
    end
    local short, long = loop(5000), loop(200000)
    assert.is_true(short.stopped >= 1, describe_counts(short))
    assert.is_true(long.stopped <= 60, describe_counts(long))
    -- A storm grows with the rounds; what is settled does not.
    assert.is_true(long.aborted <= short.aborted + 40, describe_counts(long))
  end)

  it('tasks started in a loop are compiled, and stay so', function()
    local seen = count(function()
      neap.run(function()
        local total = 0
        for _ = 1, 300 do
          for _ = 1, 100 do neap.go(function() total = total + 1 end) end
          neap.yield()
        end
        assert.equal(30000, total)
      end)
    end)
    assert.is_true(seen.stopped <= 80, describe_counts(seen))
    assert.is_true(seen.aborted <= 80, describe_counts(seen))
  end)
end)

describe('memory', function()
  local function kib()
    collectgarbage()
    collectgarbage()
    return collectgarbage 'count'
  end

  -- Growth of the heap once what is kept for reuse is there.
  local function growth(fn)
    for _ = 1, 3 do fn() end
    local before = kib()
    for _ = 1, 4 do fn() end
    return kib() - before
  end

  it('does not grow with channels, tasks, contexts, selects and errors that have ended', function()
    local rounds = helper.quick and 300 or 1000
    local rows = {
      function()
        local ch = neap.channel(4)
        for index = 1, 4 do ch:send { index } end
      end,
      function() neap.go(function() return {} end):join() end,
      function() pcall(neap.scope, function() error {} end) end,
      function() neap.context():with_timeout(1000):cancel { 1 } end,
      function() neap.select { neap.channel(), neap.channel():sending {}, timeout = 0 } end,
      function()
        local task = neap.go({ isolated = true }, error, {})
        task:wait()
      end,
      function()
        neap.with_timeout(100, function() neap.go(function() neap.defer(function() end) end) end)
      end,
      function() neap.group():go(function() end) end,
    }
    for index, row in ipairs(rows) do
      local grown = growth(function()
        support.bubble(function()
          for number = 1, rounds do
            row()
            if number % 100 == 0 then collectgarbage() end -- Or it depends on when cycles end.
          end
        end)
      end)
      assert.is_true(grown < 4 * rounds * 64 / 1024, ('row %d grew by %d KiB'):format(index, grown))
    end
  end)

  it('does not grow in one scope that lives long', function()
    local rounds = helper.quick and 500 or 3000
    support.real(function()
      local grown = growth(function()
        for number = 1, rounds do
          neap.go({ isolated = true }, function() end):wait()
          local group = neap.group()
          group:go(function() end)
          group:wait()
          neap.go({ isolated = true }, error):wait()
          if number % 100 == 0 then collectgarbage() end
        end
      end)
      assert.is_true(grown < 4 * rounds * 64 / 1024, ('grew by %d KiB'):format(grown))
    end)
  end)

  it('a blocked task costs little', function()
    local COUNT = 10000
    neap.run(function()
      local gate = neap.channel()
      local function park() gate:recv() end
      local before = kib()
      for _ = 1, COUNT do neap.go(park) end
      neap.yield()
      local bytes = (kib() - before) * 1024 / COUNT
      gate:close()
      -- The record in C is not counted here; the whole is measured by scripts/bench.
      assert.is_true(bytes < (own and 1200 or 1600), ('%d bytes a task'):format(bytes))
    end)
  end)
end)

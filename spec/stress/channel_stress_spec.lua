--- Seeded stress on all workers: send, receive, select, close, cancel, error, timeout in any order.
--- Every value that was sent is received once, lost with a close, or still in a channel; and no
--- task is left at the end. NEAP_STRESS_SECONDS says how long (2). time limit: 600
local neap = require 'neap'
local helper = require 'spec_helper'

local SECONDS = tonumber(os.getenv 'NEAP_STRESS_SECONDS') or (helper.quick and 0.5 or 2)

-- One actor, anywhere: a few hundred random operations. Returns what it sent and what it got.
-- A value is counted as sent only if the call said so; one in doubt (canceled) is listed as such.
local function actor(number, seed, channels, operations)
  local state = seed * 7919 + number * 104729 + 1
  local function random(n)
    state = (state * 16807) % 2147483647
    return state % n + 1
  end
  local sent, got, doubt, next_id = {}, {}, {}, 0
  local function fresh()
    next_id = next_id + 1
    local id = number * 1000000 + next_id
    local shape = random(4)
    if shape == 1 then return id, id end
    if shape == 2 then return id, 'id ' .. id end
    if shape == 3 then return id, ('padding '):rep(8) .. id end
    return id, { id = id }
  end
  local function note(v)
    local id = type(v) == 'table' and v.id or tonumber(tostring(v):match '%d+$')
    got[#got + 1] = id
  end
  local function try(id, fn, ...)
    local ok, result = pcall(fn, ...)
    if not ok then
      -- A send that raised (closed, canceled) has not delivered.
      if result.kind ~= 'closed' and result.kind ~= 'canceled' and result.kind ~= 'deadline' then
        error(result, 0)
      end
      if id then doubt[#doubt + 1] = id end
      if result.kind ~= 'closed' then error(result, 0) end
      return nil
    end
    return result
  end
  local steps = {
    function(ch)
      local id, v = fresh()
      if try(id, ch.send, ch, v, random(20) / 10000) then sent[#sent + 1] = id end
    end,
    function(ch)
      local id, v = fresh()
      if try(id, ch.try_send, ch, v) then sent[#sent + 1] = id end
    end,
    function(ch)
      local v, ok = ch:recv(random(20) / 10000)
      if ok then note(v) end
    end,
    function(ch)
      local v, ok = ch:try_recv()
      if ok then note(v) end
    end,
    function(ch, other)
      local id, v = fresh()
      local cases = { other, ch:sending(v), timeout = random(20) / 10000 }
      local ok, index, value, received = pcall(neap.select, cases)
      if not ok then return try(nil, error, index, 0) end
      if index == 2 then sent[#sent + 1] = id end
      if index == 1 and received then note(value) end
    end,
    function(ch, other)
      local index, v, ok = neap.select { ch, other, neap.never, default = true }
      if index and ok then note(v) end
    end,
    function() neap.sleep(random(10) / 100000) end,
    function() neap.yield() end,
  }
  local ended = 'done'
  local ok, e = pcall(function()
    for _ = 1, operations do
      local first, second = channels[random(#channels)], channels[random(#channels)]
      steps[random(#steps)](first, second)
    end
  end)
  if not ok then ended = e.kind or tostring(e) end
  return sent, got, ended
end

local function drain(ch, got)
  while true do
    local v, ok = ch:try_recv()
    if not ok then return end
    got[#got + 1] = type(v) == 'table' and v.id or tonumber(tostring(v):match '%d+$')
  end
end

local function account(all_sent, all_got, closed)
  local times = {}
  for _, id in ipairs(all_got) do
    times[id] = (times[id] or 0) + 1
    if times[id] > 1 then error(('value %d was received twice'):format(id)) end
  end
  local lost = 0
  for _, id in ipairs(all_sent) do
    if not times[id] then lost = lost + 1 end
    times[id] = nil
  end
  if lost > 0 and not closed then error(lost .. ' values were lost') end
  local invented = next(times)
  if invented then error(('value %d was received, though its send failed'):format(invented)) end
end

local function append(to, from)
  for _, v in ipairs(from) do to[#to + 1] = v end
end

-- One round: actors on all workers over a few channels; some are canceled, perhaps one fails,
-- perhaps channels are closed while all that goes on.
local function round(seed)
  math.randomseed(seed)
  local channels = {}
  for index = 1, 4 do channels[index] = neap.channel(({ 0, 0, 1, 5 })[index]) end
  local with_close, with_error = seed % 3 == 0, seed % 5 == 0
  local all_sent, all_got, tasks = {}, {}, {}
  local ok, failure = pcall(neap.scope, function()
    for number = 1, 8 do
      local options = { isolated = true }
      local run = number <= 3 and neap.go or neap.spawn
      tasks[number] = run(options, actor, number, seed, channels, 150)
    end
    neap.sleep(math.random(20) / 10000)
    if seed % 2 == 0 then tasks[math.random(8)]:cancel 'stress' end
    if with_close then channels[math.random(4)]:close() end
    if with_error then neap.go(function() error('stress', 0) end) end
    for number = 1, 8 do tasks[number]:wait() end
  end)
  if not ok and not (with_error and failure.message == 'stress') then error(failure, 0) end
  for number = 1, 8 do
    local fine, sent, got, ended = tasks[number]:wait()
    if not fine then error(sent, 0) end
    if ended ~= 'done' and ended ~= 'canceled' then error(ended) end
    append(all_sent, sent)
    append(all_got, got)
  end
  for index = 1, 4 do drain(channels[index], all_got) end
  account(all_sent, all_got, false)
  return #all_got
end

describe('channel stress', function()
  it('accounts for each value once, on all workers', function()
    local before = neap.stats().tasks
    local seed = tonumber(os.getenv 'NEAP_STRESS_SEED') or 1
    local stop, count, rounds = os.time() + 3600, 0, 0
    local started = neap.now()
    repeat
      local ok, result = pcall(neap.run, round, seed)
      if not ok then
        error(('seed %d: %s'):format(seed, type(result) == 'table' and result:report() or result))
      end
      count = count + result
      rounds = rounds + 1
      seed = seed + 1
    until neap.now() - started >= SECONDS or os.time() > stop
    assert.is_true(count > 0)
    assert.equal(before, neap.stats().tasks)
    collectgarbage()
    collectgarbage()
  end)
end)

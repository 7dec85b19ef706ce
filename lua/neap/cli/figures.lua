--- The figures of a job that runs, over time: how fast, how far, how long yet, what holds it up.
--- Takes what `job:stats()` gives and misses nothing that is missing there.
local figures = {}

local Tracker = {}
Tracker.__index = Tracker

local ETA_AFTER, ETA_SHARE = 3, 0.02 -- Before that a guess would jump.
local SMOOTH = 15 -- seconds that make up 90 % of the rate
local STALLED = 5

--- @param now number when the job began
function figures.tracker(now)
  return setmetatable({ began = now, at = now, moved = now, items = 0, bytes = 0 }, Tracker)
end

-- A double average over time: it follows, but does not jump with each chunk.
local function smooth(self, name, amount, seconds)
  local keep = 0.1 ^ (seconds / SMOOTH)
  local rate = amount / seconds
  local first, second = name .. '_first', name .. '_second'
  self[first] = (self[first] or rate) * keep + rate * (1 - keep)
  self[second] = (self[second] or self[first]) * keep + self[first] * (1 - keep)
  return self[second]
end

-- What a total is known of: bytes of files before items of a range or a list.
local function measure(stats)
  local total = stats.total_bytes or stats.bytes_known
  if total and total > 0 then return stats.bytes or 0, total end
  if stats.total_items and stats.total_items > 0 then return stats.items or 0, stats.total_items end
  return nil
end

local function busy_share(stage)
  local running, starved, blocked = stage.running or 0, stage.starved or 0, stage.blocked or 0
  local all = running + starved + blocked
  return all > 0 and running / all or 0
end

-- The stage that works while those after it starve; without times, the one with the most waiting.
local function slowest(stats)
  local best, most
  for _, stage in ipairs(stats.stages or {}) do
    local share = busy_share(stage)
    if share > (most or 0.5) then best, most = stage, share end
  end
  if best then return best.name, most end
  most = 1
  for index, segment in ipairs(stats.segments or {}) do
    if index > 1 and (segment.waiting or 0) > most then best, most = segment, segment.waiting end
  end
  return best and best.name
end

--- @param stats table what the job says now
--- @param now number seconds
--- @return table view items, bytes, item_rate, byte_rate, elapsed; where known share, done, total,
--- by_bytes, eta, stalled, slowest, busy
function Tracker:update(stats, now)
  local seconds = math.max(now - self.at, 1e-3)
  local items, bytes = stats.items or self.items, stats.bytes or self.bytes
  local view = { items = items, bytes = bytes, elapsed = now - self.began, by_bytes = false }
  view.item_rate = smooth(self, 'items', items - self.items, seconds)
  view.byte_rate = smooth(self, 'bytes', bytes - self.bytes, seconds)
  if items + bytes > self.items + self.bytes then self.moved = now end
  self.items, self.bytes, self.at = items, bytes, now
  local done, total = measure(stats)
  if total then
    view.done, view.total = done, total
    view.by_bytes = (stats.total_bytes or stats.bytes_known or 0) > 0
    view.share = math.min(done / total, 1)
    view.eta = self:left(view)
  end
  if now - self.moved >= STALLED then view.stalled, view.eta = now - self.moved, nil end
  view.slowest, view.busy = slowest(stats)
  return view
end

-- The mean of the rate so far and the rate of late: one is steady, the other right.
function Tracker:left(view)
  if view.elapsed < ETA_AFTER or view.share < ETA_SHARE then return nil end
  local recent = view.by_bytes and view.byte_rate or view.item_rate
  local rate = (view.done / view.elapsed + recent) / 2
  if rate <= 0 then return nil end
  return (view.total - view.done) / rate
end

local UNITS = { '', 'k', 'M', 'G', 'T', 'P' }

--- 950, 1.2k, 34k, 5.6M.
function figures.count(n)
  local unit = 1
  while n >= 999.5 and unit < #UNITS do n, unit = n / 1000, unit + 1 end
  local digits = unit > 1 and n < 9.95 and '%.1f' or '%.0f'
  return digits:format(n) .. UNITS[unit]
end

--- 512 B, 1.2 kB, 4.8 GB.
function figures.bytes(n)
  local text = figures.count(n)
  return text:gsub('(%a?)$', ' %1B', 1)
end

--- 0.4 s, 12 s, 3:05, 1:02:03.
function figures.time(seconds)
  if seconds < 9.95 then return ('%.1f s'):format(seconds) end
  if seconds < 60 then return ('%.0f s'):format(seconds) end
  local whole = math.floor(seconds + 0.5)
  local hours, minutes = math.floor(whole / 3600), math.floor(whole / 60) % 60
  if hours > 0 then return ('%d:%02d:%02d'):format(hours, minutes, whole % 60) end
  return ('%d:%02d'):format(minutes, whole % 60)
end

return figures

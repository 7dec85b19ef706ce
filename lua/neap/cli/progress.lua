--- The progress of a job under the command: one line on standard error if that is a terminal, from
--- the second second on, five times a second, gone at the end; or plain lines, on request.
---   neap --progress=plain[:SECONDS] FILE, --progress=off; ACCESSIBLE=1 means plain:30.
local ffi = require 'ffi'
local figures = require 'neap.cli.figures'
local native = require 'neap.ffi'
local C, W = native.C, native.W

local progress = {}

local AFTER, EVERY, PLAIN_EVERY, ACCESSIBLE_EVERY = 1, 0.2, 10, 30
local WIDE, BAR, SHORT_BAR = 100, 16, 8

local settings = { mode = os.getenv 'ACCESSIBLE' == '1' and 'plain' or 'line' }
settings.every = settings.mode == 'plain' and ACCESSIBLE_EVERY or PLAIN_EVERY

local is_command = native.own and not native.own.guest and C.npl_number(W) == 0
local has_terminal = is_command and pcall(ffi.cdef, [[
extern volatile int32_t npl_progress_shown;
bool npl_progress_draw(const char *text, size_t length);
void npl_progress_erase(void);
int32_t npl_progress_columns(void);
]])

--- Reads the value of `--progress=`; false when it makes no sense.
function progress.configure(text)
  local mode, every = text:match '^(%a+):?([%d.]*)$'
  if mode ~= 'plain' and mode ~= 'line' and mode ~= 'off' then return false end
  settings.mode = mode
  if every ~= '' then
    settings.every = tonumber(every)
    if mode ~= 'plain' or not settings.every or settings.every <= 0 then return false end
  end
  return true
end

local function bar(share, width)
  local full = math.floor(share * width + 0.5)
  local head = full > 0 and full < width and '>' or ''
  return '[' .. ('='):rep(full - #head) .. head .. (' '):rep(width - full) .. ']'
end

-- '151 of 200 MB': a unit that both have is said once.
local function of_total(done, total)
  local unit = done:match ' ?%a*$'
  if unit ~= '' and total:sub(-#unit) == unit then done = done:sub(1, -#unit - 1) end
  return done .. ' of ' .. total
end

local function amount(view)
  if view.by_bytes then return of_total(figures.bytes(view.done), figures.bytes(view.total)) end
  if view.total then return of_total(figures.count(view.done), figures.count(view.total)) end
  if view.bytes > 0 then return figures.bytes(view.bytes) end
  return figures.count(view.items) .. ' items'
end

local function time_left(view)
  if view.stalled then return 'stalled ' .. figures.time(view.stalled) end
  if view.eta then return 'eta ' .. figures.time(view.eta) end
  return figures.time(view.elapsed)
end

-- From the most to the least wanted: what does not fit is left out, not cut.
local function parts_of(view, width)
  local parts = {}
  local function add(text) parts[#parts + 1] = text end
  if view.share then
    add(('%s %3.0f%%'):format(bar(view.share, width), math.floor(view.share * 100)))
  end
  add(time_left(view))
  add(amount(view))
  if view.bytes > 0 then add(figures.bytes(math.max(view.byte_rate, 0)) .. '/s') end
  if view.items > 0 then add(figures.count(math.max(view.item_rate, 0)) .. ' items/s') end
  if view.slowest then
    add('slowest: ' .. view.slowest .. (view.busy and (' %.0f%%'):format(view.busy * 100) or ''))
  end
  return parts
end

--- The line, shorter than `columns`, so that no terminal wraps it.
function progress.line(view, columns)
  local text = ''
  for _, part in ipairs(parts_of(view, columns >= WIDE and BAR or SHORT_BAR)) do
    local longer = text == '' and part or text .. '  ' .. part
    if #longer < columns then text = longer end
  end
  return text
end

--- A line for logs: no bar, nothing left out.
function progress.plain(view)
  local parts = parts_of(view, BAR)
  if view.share then parts[1] = ('%.0f %%'):format(math.floor(view.share * 100)) end
  return 'neap: ' .. table.concat(parts, ', ')
end

local function figures_of(job)
  local ok, stats
  if type(job) == 'function' then ok, stats = pcall(job) else ok, stats = pcall(job.stats, job) end
  return ok and type(stats) == 'table' and stats or {}
end

local Attached = {}
Attached.__index = Attached

local function view_now(self)
  return self.tracker:update(figures_of(self.job), C.npl_now(W))
end

local function draw(self)
  if self.over then return end
  if settings.mode == 'plain' then
    io.stderr:write(progress.plain(view_now(self)), '\n')
    return
  end
  local columns = ffi.C.npl_progress_columns()
  if columns == 0 then return end -- Not now, or not any more.
  local text = progress.line(view_now(self), columns)
  ffi.C.npl_progress_draw(text, #text)
end

local function run(self)
  local sleep = require('neap.time').sleep
  local first = settings.mode == 'plain' and settings.every or AFTER
  local every = settings.mode == 'plain' and settings.every or EVERY
  sleep(first)
  while not self.over do
    draw(self)
    sleep(every)
  end
end

--- Shows the progress of a job until `finish`. Does nothing in a host, without a terminal, or when
--- it was switched off.
--- @param job table|function with `stats()` that gives items, bytes, total_bytes, stages ...
--- @return table attached `attached:finish()`, at the job's end, however it ends
function progress.attach(job)
  local self = setmetatable({ job = job, over = false }, Attached)
  -- A bubble's clock moves when all wait: a timer of ours would move it, too.
  if not has_terminal or settings.mode == 'off' or C.npl_in_bubble(W) then return self end
  if settings.mode == 'line' and ffi.C.npl_progress_columns() == 0 then return self end
  self.tracker = figures.tracker(C.npl_now(W))
  local options = { name = 'progress', daemon = true, isolated = true }
  self.task = require('neap.task').go(options, run, self)
  return self
end

--- Takes the line away; with plain lines writes the last one, if there was any before.
function Attached:finish()
  if self.over or not self.task then return end
  local now = C.npl_now(W)
  if settings.mode == 'plain' and now - self.tracker.began >= settings.every then draw(self) end
  self.over = true
  ffi.C.npl_progress_erase()
  self.task:cancel()
end

return progress

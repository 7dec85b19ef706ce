--- What runs: the live tasks of this worker, with what they wait for.
local native = require 'neap.ffi'
local ffi = require 'ffi'
local scheduler = require 'neap.scheduler'
local task = require 'neap.task'
local C, W = native.C, native.W

local Row, List = {}, {}

local function where(slot, object)
  local co = scheduler.coroutines[slot]
  if co and coroutine.status(co) ~= 'dead' then
    local level = 0
    while true do
      local info = co == coroutine.running() and debug.getinfo(level + 1, 'Sl')
        or co ~= coroutine.running() and debug.getinfo(co, level, 'Sl')
      if not info then break end
      if info.currentline > 0 and not require('neap.errors').is_ours(info.source) then
        return ('%s:%d'):format(info.short_src, info.currentline)
      end
      level = level + 1
    end
  end
  local fn = object and object[1]
  if type(fn) == 'function' then
    local info = debug.getinfo(fn, 'S')
    return ('%s:%d'):format(info.short_src, info.linedefined)
  end
  return '?'
end

local function row(slot)
  local waits = C.npl_task_waits(W, slot)
  if waits < 0 then return nil end
  local object = scheduler.tasks[slot] or nil
  local state = waits > 0 and 'waiting'
    or object and not C.npl_is_outside(W) and task.current() == object and 'running' or 'ready'
  return setmetatable({
    id = C.npl_task_id(W, slot), parent = C.npl_task_parent(W, slot),
    name = object and object.name or ('task %d'):format(C.npl_task_id(W, slot)),
    state = state, waits_for = waits > 0 and ffi.string(C.npl_task_waits_on(W, slot)) or '',
    where = where(slot, object), worker = C.npl_number(W),
  }, Row)
end

function Row.__tostring(self)
  return ('%-16s %-8s %-20s %s'):format(self.name, self.state, self.waits_for, self.where)
end

function List.__tostring(self)
  local lines = { ('%-16s %-8s %-20s %s'):format('task', 'state', 'waits for', 'at') }
  for _, entry in ipairs(self) do lines[#lines + 1] = tostring(entry) end
  return table.concat(lines, '\n')
end

--- @return table list of { id, parent, name, state, waits_for, where, worker }; prints as a table
local function tasks()
  local list = setmetatable({}, List)
  for slot = 0, C.npl_task_high(W) - 1 do list[#list + 1] = row(slot) end
  return list
end

return { tasks = tasks }

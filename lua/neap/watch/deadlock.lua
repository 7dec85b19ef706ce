--- The error of kind `deadlock`: every task that waits, and for what.
local errors = require 'neap.errors'

--- @param what? string what the task that found out was waiting for
local function describe(what)
  local list = require('neap.watch.tasks').tasks()
  local parts = {}
  for _, row in ipairs(list) do
    if row.state == 'running' then
      parts[#parts + 1] = ('%s %s (%s)'):format(row.name, what or 'waits', row.where)
    elseif row.state == 'waiting' then
      parts[#parts + 1] = ('%s %s (%s)'):format(row.name, row.waits_for, row.where)
    end
  end
  local waits = #parts > 0 and table.concat(parts, ', ')
    or ('%s outside any task'):format(what or 'a wait')
  local e = errors.new('deadlock', {
    message = 'all tasks wait and nothing can wake them: ' .. waits,
  })
  e.tasks = list
  return e
end

return { describe = describe }

--- Failures of a running flow: which stage, which item, where it was declared.
local errors = require 'neap.errors'

local fault = {}

--- Ends a flow early from within: a take that is through, an edge that nobody reads.
fault.STOP = setmetatable({}, { __tostring = function() return 'the flow wants no more' end })

--- A stage got or made what it cannot use; the handler below adds where.
function fault.raise(message) error(errors.new('argument', { message = message }), 0) end

function fault.nil_result()
  fault.raise 'the function returned nil; fix: return neap.null, or drop the item with filter'
end

-- The line and the index of the generated loop that failed, seen from the message handler.
local function find_frame(lines)
  for level = 1, 200 do
    local info = debug.getinfo(level, 'Sl')
    if info == nil then return nil end
    if info.source == '=neap/segment' and lines[info.currentline] then
      for index = 1, 40 do
        local name, value = debug.getlocal(level, index)
        if name == nil then break end
        if name == 'i' then return lines[info.currentline], value end
      end
      return lines[info.currentline], nil
    end
  end
end

local function is_end(e) return e.kind == 'canceled' or e.kind == 'deadline' end

--- Adds stage and place to an error.
function fault.place(e, item)
  if is_end(e) or e.stage then return e end
  e.stage = item.label
  e.declared = item.where or nil
  -- What user code raised says itself where; what we found wrong is wrong where it was declared.
  if e.value == nil then e.where = e.where or item.where or nil end
  return e
end

--- A message handler for a generated loop.
--- @param lines table line -> stage, of the variant that runs
--- @param item_at function(i) -> what came in
function fault.handler(lines, item_at)
  return function(value)
    if value == fault.STOP then return value end
    local traceback = errors.traceback()
    local e = errors.user(value, traceback)
    if e.stage or is_end(e) then return e end
    e.traceback = e.traceback or traceback
    local item, i = find_frame(lines)
    if item == nil then return e end
    fault.place(e, item)
    if i ~= nil then
      local ok, came = pcall(item_at, i)
      if ok then e.item = came end
    end
    return e
  end
end

return fault

--- A message in the making: what lua/neap/codec/walk.lua has collected, and where it is.
local classes = require 'neap.codec.classes'
local leaf = require 'neap.codec.leaf'
local clear = require 'table.clear'

local draft = {}

local FUNCTION, HANDLE = leaf.FUNCTION, leaf.HANDLE
local KEEP = 256 -- Cells and functions of a draft that is worth keeping for the next message.

-- A list of plain values and their fixes.
local function new_list()
  return { count = 0, values = {}, fixes = {} }
end

local function new()
  return {
    roots = new_list(),
    cells = new_list(), -- Upvalues: functions that share one name the same cell.
    objects = new_list(), -- What `encode` of their classes made of them ...
    classes = {}, -- ... and the names of those.
    nodes = new_list(), -- Tables that a function in them leads back to.
    functions = {}, -- { bytecode, cell, cell, ... }
    handles = {}, -- { kind =, pointer = }
    seen = {}, -- Function, handle or object -> its leaf.
    cell_of = {}, -- Upvalue id -> its cell.
    node_of = {}, -- Table -> its node.
    open = {}, -- Table being walked -> how many functions it lies in.
    opened = {}, -- The same tables, outermost first.
    open_count = 0,
    within = 0, -- Functions around the current place.
    steps = {}, -- The path to it, for messages.
    depth_of_path = 0,
    head = {},
  }
end

local spare = nil -- One draft is kept: a dozen tables are most of what a small message costs.

--- An empty draft. A message whose making fails just drops it.
function draft.take()
  local s = spare or new()
  spare = nil
  return s
end

local function clear_list(list)
  if list.count == 0 then return end
  list.count = 0
  clear(list.values)
  clear(list.fixes)
end

--- Takes back a draft that has been written out.
function draft.give(s)
  if s.rolled_back or s.cells.count > KEEP or s.roots.count > KEEP or #s.functions > KEEP then
    return
  end
  clear_list(s.roots)
  clear_list(s.cells)
  clear_list(s.objects)
  clear_list(s.nodes)
  clear(s.classes)
  clear(s.functions)
  clear(s.seen)
  clear(s.cell_of)
  clear(s.node_of)
  clear(s.steps)
  clear(s.head)
  if s.handles[1] then s.handles = {} end -- They left with the message.
  s.root = nil
  spare = s
end

function draft.push(s, key)
  local depth = s.depth_of_path + 1
  s.depth_of_path = depth
  s.steps[depth] = key
end

function draft.pop(s, count)
  s.depth_of_path = s.depth_of_path - count
end

--- Notes that a table is being walked, to find cycles.
function draft.open(s, t)
  local count = s.open_count + 1
  s.open_count = count
  s.opened[count], s.open[t] = t, s.within
end

function draft.close(s, t)
  local count = s.open_count
  s.open_count, s.opened[count], s.open[t] = count - 1, nil, nil
end

--- What the message holds so far, to come back to when an attempt fails.
--- @return table
function draft.mark(s)
  return {
    functions = #s.functions, handles = #s.handles, open_count = s.open_count,
    cells = s.cells.count, objects = s.objects.count, nodes = s.nodes.count,
    depth_of_path = s.depth_of_path, within = s.within,
  }
end

local function forget(map, last)
  for key, index in next, map do
    if index > last then map[key] = nil end
  end
end

--- Forgets what came after `m`, a mark; gives up its handles.
function draft.roll_back(s, m)
  s.rolled_back = true -- What the lists hold beyond their counts is not worth clearing.
  for key, of in next, s.seen do
    local what = of % 4
    local last = what == FUNCTION and m.functions or what == HANDLE and m.handles or m.objects
    if (of - what) / 4 > last then s.seen[key] = nil end
  end
  forget(s.cell_of, m.cells)
  forget(s.node_of, m.nodes)
  while s.open_count > m.open_count do draft.close(s, s.opened[s.open_count]) end
  for index = #s.functions, m.functions + 1, -1 do s.functions[index] = nil end
  for index = s.objects.count, m.objects + 1, -1 do s.classes[index] = nil end
  s.cells.count, s.objects.count, s.nodes.count = m.cells, m.objects, m.nodes
  s.depth_of_path, s.within = m.depth_of_path, m.within
  classes.abandon(s.handles, m.handles + 1)
end

return draft

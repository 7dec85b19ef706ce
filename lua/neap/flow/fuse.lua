--- Makes one loop of adjacent stages: generated Lua, a line a stage, closures as upvalues, an
--- integer index, and a fresh `loadstring` for each segment and form of input, so that no two
--- graphs share a trace.
local ffi = require 'ffi'
local fault = require 'neap.flow.fault'

local fuse = {}

local MOST_STAGES = 16 -- The compiler gives up on longer loops.
fuse.MOST_OUT = 4096 -- Items of a chunk that a loop gives.
local MOST_EMITTED = 1024

--- Stands for an item that a pure stage dropped, in a dictionary of strings.
fuse.DROP = setmetatable({}, { __tostring = function() return 'dropped' end })

-- How a loop gets its items: the head of its `for`, and the line that reads one.
local FORMS = {
  items = { 'for i = from, to do', 'local x = src[i]' },
  numbers = { 'for i = from, to do', 'local x = src[i]' },
  unit = { 'for i = from, to do', 'local x = i' },
  span = { 'for i = from, to do', 'local x = a + i * b' },
  codes = { 'for i = from, to do', 'local x = a[src[i]] if x == DROP then goto continue end' },
}

local ITEM_AT = {
  items = function(call, i) return call.src[i] end,
  numbers = function(call, i) return call.src[i] end,
  unit = function(_, i) return i end,
  span = function(call, i) return call.a + i * call.b end,
  codes = function(call, i) return call.a[call.src[i]] end,
}

local function new_loop(state_of)
  return { items = {}, state = {}, out = {}, forms = {}, calls = {}, owner = state_of }
end

local function begin_states(loop)
  for k, item in ipairs(loop.items) do
    if item.op.begin then item.op.begin(loop.state, k, item) end
  end
end

--- Cuts a run of stages into loops: one ends with a stage that reduces or gives many for one.
--- @param items table stages with `op` and `mode`
function fuse.loops(items)
  local loops, loop = {}, nil
  for _, item in ipairs(items) do
    if not loop or loop.closed or #loop.items == MOST_STAGES then
      loop = new_loop()
      loops[#loops + 1] = loop
    end
    loop.items[#loop.items + 1] = item
    if item.op.reduces then loop.reduces = item end
    if item.op.flat then loop.flat = item end
    loop.closed = item.op.reduces or item.op.flat
  end
  for _, each in ipairs(loops) do begin_states(each) end
  return loops
end

local function text_of(part, item, k)
  if type(part) == 'function' then part = part(item) end
  return part and (part:gsub('%$', tostring(k))) or nil
end

local function add(lines, text)
  if text then lines[#lines + 1] = text end
end

local EMIT = ([[
local n = 0
local function emit(v)
if v == nil then nil_result() end
n = n + 1 out[n] = v
if n == %d then n = 0 flush(%d) end
end
]]):format(MOST_EMITTED, MOST_EMITTED)

local function last_line(loop)
  if loop.reduces or loop.flat then return nil end
  if loop.keeps then return 'keep[n] = i n = n + 1' end
  return 'n = n + 1 out[n] = x'
end

-- The text, and which line belongs to which stage.
local function generate(loop, form, names)
  local lines, stage_at = {}, {}
  add(lines, 'local ' .. table.concat(names, ', ') .. ' = ...')
  if loop.flat then
    for line in EMIT:gmatch '[^\n]+' do add(lines, line) end
  end
  add(lines, 'return function(src, from, to, a, b)')
  if not loop.flat then add(lines, 'local n = 0') end
  for k, item in ipairs(loop.items) do add(lines, text_of(item.op.enter, item, k)) end
  add(lines, FORMS[form][1])
  add(lines, FORMS[form][2])
  stage_at[#lines] = loop.items[1]
  for k, item in ipairs(loop.items) do
    local body = not (form == 'codes' and item.in_prefix) and text_of(item.op.body, item, k)
    if body then
      add(lines, 'do ' .. body .. ' end')
      stage_at[#lines] = item
    end
  end
  add(lines, last_line(loop))
  add(lines, '::continue::')
  for k, item in ipairs(loop.items) do add(lines, text_of(item.op.tail, item, k)) end
  add(lines, 'end')
  for k, item in ipairs(loop.items) do add(lines, text_of(item.op.leave, item, k)) end
  add(lines, loop.flat and 'local m = n n = 0 return m' or 'return n')
  add(lines, 'end')
  return table.concat(lines, '\n'), stage_at
end

local uint32s = ffi.typeof 'uint32_t[?]'

-- Everything that the text names from outside, as parallel lists.
local function environment(loop)
  local names = { 'S', 'out', 'type', 'nil_result', 'DROP' }
  local values = { loop.state, loop.out, type, fault.nil_result, fuse.DROP }
  local seen = {}
  local function bind(name, value)
    if not value or seen[name] then return end
    seen[name] = true
    names[#names + 1], values[#values + 1] = name, value
  end
  if loop.flat then bind('flush', loop.flush) end
  if loop.keeps then bind('keep', loop.keep) end
  for k, item in ipairs(loop.items) do
    bind('F' .. k, item.fn)
    bind('G' .. k, item.combine)
    for name, helper in pairs(item.op.helpers or {}) do bind(name, helper) end
  end
  return names, values
end

--- The loop for a form of input: a function(src, from, to, a, b) that returns how many items are
--- in loop.out, and its message handler.
function fuse.compile(loop, form)
  local names, values = environment(loop)
  local text, stage_at = generate(loop, form, names)
  local make = assert(loadstring(text, '=neap/segment'))
  local call = {}
  local handler = fault.handler(stage_at, function(i) return ITEM_AT[form](call, i) end)
  local made = { run = make(unpack(values, 1, #names)), call = call, handler = handler }
  loop.forms[form] = made
  return made
end

--- Lets a loop of filters give the indexes of what they keep, for a chunk that stays as it is.
function fuse.keep(loop, room)
  if not loop.keep or room > loop.keep_room then
    loop.keep, loop.keep_room = uint32s(room), room
    loop.forms = {}
  end
end

--- True when all stages of the loop are filters.
function fuse.only_filters(loop)
  for _, item in ipairs(loop.items) do
    if not item.op.keeps then return false end
  end
  return true
end

--- Splits off the pure stages at the head of a loop, as a loop of their own over new strings: it
--- puts what becomes of each in its place. nil when there are none.
function fuse.prefix(loop)
  local items = {}
  for _, item in ipairs(loop.items) do
    if not item.pure then break end
    item.in_prefix = true
    items[#items + 1] = item
  end
  if #items == 0 then return nil end
  local prefix = new_loop()
  prefix.items = items
  local names, values = environment(prefix)
  local lines, stage_at = { 'local ' .. table.concat(names, ', ') .. ' = ...' }, {}
  add(lines, 'return function(src, from, to)')
  add(lines, 'for i = from, to do')
  add(lines, 'local x = src[i] src[i] = DROP')
  for k, item in ipairs(items) do
    add(lines, 'do ' .. text_of(item.op.body, item, k) .. ' end')
    stage_at[#lines] = item
  end
  add(lines, 'src[i] = x')
  add(lines, '::continue::')
  add(lines, 'end')
  add(lines, 'end')
  local make = assert(loadstring(table.concat(lines, '\n'), '=neap/segment'))
  local call = {}
  local handler = fault.handler(stage_at, function(i) return call.src[i] end)
  return { run = make(unpack(values, 1, #names)), call = call, handler = handler }
end

return fuse

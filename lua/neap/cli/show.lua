--- What the prompt prints of a value: enough to see what it is, never a flood. Four tables deep, 20
--- items each, 200 bytes of a string, keys in order, a table that holds itself by its number. No
--- code of the user's runs, but `__tostring`.
local show = {}

local DEPTH, ITEMS, BYTES, WIDTH, TOTAL = 4, 20, 200, 78, 20480
local KEYWORDS = {}
for word in ([[and break do else elseif end false for function goto if in local nil not or repeat
  return then true until while]]):gmatch '%a+' do
  KEYWORDS[word] = true
end

local ESCAPES = { ['\n'] = '\\n', ['\t'] = '\\t', ['\r'] = '\\r', ['"'] = '\\"', ['\\'] = '\\\\' }

local function escape(text)
  return (text:gsub('[%c"\\\127]', function(c)
    return ESCAPES[c] or ('\\%03d'):format(c:byte())
  end))
end

-- Not in the middle of a character.
local function cut(text)
  local stop = BYTES
  while stop > BYTES - 4 and (text:byte(stop + 1) or 0) >= 0x80 and text:byte(stop + 1) < 0xc0 do
    stop = stop - 1
  end
  return text:sub(1, stop)
end

local function show_string(text)
  if #text <= BYTES then return '"' .. escape(text) .. '"' end
  return ('"%s"... %d bytes more'):format(escape(cut(text)), #text - #cut(text))
end

local function show_function(fn)
  local info = debug.getinfo(fn, 'S')
  if info.what == 'C' or info.linedefined < 0 then return 'function: built in' end
  return ('function: %s:%d-%d'):format(info.short_src, info.linedefined, info.lastlinedefined)
end

-- Its own words, if it has some; also for tables of ours, such as channels and tasks.
local function own_words(value)
  local mt = debug.getmetatable(value)
  if type(mt) ~= 'table' or not rawget(mt, '__tostring') then return nil end
  local ok, text = pcall(tostring, value)
  if not ok then return '(its __tostring failed)' end
  return #text > 4096 and text:sub(1, 4096) .. '...' or text
end

local function show_scalar(value)
  local kind = type(value)
  if kind == 'string' then return show_string(value) end
  if kind == 'function' then return show_function(value) end
  local is_whole = kind == 'number' and value % 1 == 0 and math.abs(value) < 2 ^ 53
  if is_whole then return ('%d'):format(value) end
  return tostring(value)
end

local RANK = { number = 1, string = 2, boolean = 3 }

local function before(a, b)
  local x, y = RANK[type(a)] or 4, RANK[type(b)] or 4
  if x ~= y then return x < y end
  if x <= 2 then return a < b end
  return tostring(a) < tostring(b)
end

-- The keys that do not belong to the list part.
local function other_keys(value, length)
  local keys = {}
  for key in next, value do
    local is_listed = type(key) == 'number' and key % 1 == 0 and key >= 1 and key <= length
    if not is_listed then keys[#keys + 1] = key end
  end
  table.sort(keys, before)
  return keys
end

local function list_length(value)
  local length = 0
  while rawget(value, length + 1) ~= nil do length = length + 1 end
  return length
end

local show_any

local function show_key(key)
  if type(key) == 'string' and key:find '^[%a_][%w_]*$' and not KEYWORDS[key] then return key end
  if type(key) == 'table' then return '[table]' end
  return '[' .. show_scalar(key) .. ']'
end

local function items_of(value, state, depth, indent)
  local parts, length = {}, list_length(value)
  for index = 1, math.min(length, ITEMS) do
    parts[#parts + 1] = show_any(rawget(value, index), state, depth, indent)
  end
  local keys = other_keys(value, length)
  for index = 1, math.min(#keys, ITEMS - #parts) do
    local key = keys[index]
    parts[#parts + 1] = show_key(key) .. ' = ' .. show_any(rawget(value, key), state, depth, indent)
  end
  local more = length + #keys - #parts
  if more > 0 then parts[#parts + 1] = ('... %d more'):format(more) end
  return parts
end

local function lay_out(parts, indent)
  local line = '{ ' .. table.concat(parts, ', ') .. ' }'
  if #line + #indent <= WIDTH and not line:find '\n' then return line end
  local deeper = indent .. '  '
  return '{\n' .. deeper .. table.concat(parts, ',\n' .. deeper) .. '\n' .. indent .. '}'
end

local function show_table(value, state, depth, indent)
  local seen = state.open[value]
  if seen then
    state.cyclic = true
    return ('<%d>'):format(seen)
  end
  if next(value) == nil then return '{}' end
  if depth == 0 then return '{ ... }' end
  state.level = state.level + 1
  state.open[value] = state.level
  local parts = items_of(value, state, depth - 1, indent .. '  ')
  state.open[value] = nil
  state.level = state.level - 1
  return lay_out(parts, indent)
end

function show_any(value, state, depth, indent)
  local kind = type(value)
  if kind ~= 'string' and kind ~= 'number' then
    local words = own_words(value)
    if words then return words end
  end
  if kind == 'table' then return show_table(value, state, depth, indent) end
  return show_scalar(value)
end

--- @return string text at most 20 KiB
function show.value(value)
  local text = show_any(value, { open = {}, level = 0 }, DEPTH, '')
  if #text <= TOTAL then return text end
  return text:sub(1, TOTAL) .. ('\n... %d bytes more'):format(#text - TOTAL)
end

--- Several values, as an expression's results.
function show.values(count, ...)
  local parts = {}
  for index = 1, count do parts[index] = show.value((select(index, ...))) end
  return table.concat(parts, parts[1] and table.concat(parts):find '\n' and '\n' or '\t')
end

return show

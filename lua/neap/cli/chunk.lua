--- What was entered at the prompt, as a function: an expression or statements, with the locals of
--- earlier entries. `local x` at the start of a line is kept for later entries: each such local is
--- one upvalue that all entries share, so that functions that use it travel like any other.
local chunk = {}

local MAX_KEPT = 150 -- LuaJIT allows 200 locals in a function.

-- A local is a cell: a function with it as its only upvalue.
local function new_cell(value)
  return function() return value end
end

--- A session's kept locals: names in order, cell by name.
function chunk.session() return { names = {}, cells = {} } end

--- Gives the session a local from outside.
function chunk.define(session, name, value)
  session.names[#session.names + 1] = name
  session.cells[name] = new_cell(value)
end

local function keep(session, name)
  if not session.cells[name] then
    if #session.names >= MAX_KEPT then return false end
    session.names[#session.names + 1] = name
  end
  -- A new local of the same name is another one; its value may be made of the old one's.
  local old = session.cells[name]
  session.cells[name] = new_cell(old and old())
  return true
end

local function names_in(list)
  local names = {}
  for name in list:gmatch '[%a_][%w_]*' do names[#names + 1] = name end
  return names
end

-- `local a, b = 1` -> `a, b = 1`; `local function f` -> `f = nil; function f`; at a line's start.
local function strip_locals(text, declared)
  local function of_list(head, list, rest)
    for _, name in ipairs(names_in(list)) do declared[#declared + 1] = name end
    if rest:find '^%s*=' and not rest:find '^%s*==' then return head .. list .. rest end
    return head .. list .. ' = nil' .. rest
  end
  local lines = {}
  for line in (text .. '\n'):gmatch '(.-)\n' do
    local name = line:match '^local%s+function%s+([%a_][%w_]*)'
    if name then
      declared[#declared + 1] = name
      line = line:gsub('^local%s+', '', 1)
    else
      line = line:gsub('^()local%s+([%a_][%w_%s,]*)(.*)$', function(_, list, rest)
        if list:find '^function%f[^%w_]' then return nil end
        return of_list('', list, rest)
      end)
    end
    lines[#lines + 1] = line
  end
  return table.concat(lines, '\n')
end

-- The text inside a function that sees the kept locals; their line numbers stay.
local function wrap(session, text)
  local locals = #session.names > 0 and 'local ' .. table.concat(session.names, ', ') .. '; ' or ''
  return locals .. 'return function(...) ' .. text .. '\nend'
end

local function bind(session, fn)
  for index = 1, 255 do
    local name = debug.getupvalue(fn, index)
    if not name then break end
    if session.cells[name] then debug.upvaluejoin(fn, index, session.cells[name], 1) end
  end
  return fn
end

local function build(session, text)
  local make = loadstring(wrap(session, text), '=prompt')
  return make and bind(session, make())
end

-- The nil keeps `return f()` from being a tail call, which would hide the entry from tracebacks.
-- `=EXPR` is an older way to ask for a value.
local function as_expression(text) return 'return nil, ' .. text:gsub('^%s*=', '', 1) end

local function without_first(_, ...) return ... end

local function compile_statements(session, text)
  local declared = {}
  local stripped = strip_locals(text, declared)
  if #declared == 0 or not loadstring(stripped, '=prompt') then return build(session, text) end
  for _, name in ipairs(declared) do
    if not keep(session, name) then
      return nil, ('prompt: more than %d locals are kept; fix: leave `local` out'):format(MAX_KEPT)
    end
  end
  return build(session, stripped)
end

local function is_cut_off(message) return message:find "near '<eof>'$" ~= nil end

--- @return function|nil fn
--- @return string|nil message what is wrong with it
--- @return boolean|nil incomplete more lines could make it right
function chunk.compile(session, text)
  local expression = as_expression(text)
  local is_expression, why_not = loadstring(expression, '=prompt')
  if is_expression then
    local fn = build(session, expression)
    return fn and function() return without_first(fn()) end
  end
  local ok, message = loadstring(text, '=prompt')
  if ok then return compile_statements(session, text) end
  -- A lone `{` can only become an expression.
  return nil, message, is_cut_off(message) or is_cut_off(why_not)
end

--- The value of a kept local, for tests.
function chunk.value(session, name) return session.cells[name] and session.cells[name]() end

return chunk

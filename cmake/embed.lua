--- Writes the C file that carries lua/neap and the FFI's declarations.
--- luajit embed.lua LAYERS LIST OUT: LIST names one source file a line, Lua modules (under lua/)
--- and headers (under engine/); OUT defines what engine/base/embedded.h declares. A file name
--- that ends in .h gets the bare declarations instead (scripts/tools/check_cdef).
local layers_path, list_path, out_path = ...

local function read(path)
  local file = assert(io.open(path, 'rb'))
  local text = file:read '*a'
  file:close()
  return text
end

local function read_layers()
  local layers = {}
  for line in io.lines(layers_path) do
    local room, number = line:match '^(%w+)%s+(%d+)'
    if room then layers[room] = tonumber(number) end
  end
  return layers
end

-- lua/neap/sync/init.lua is neap.sync, lua/neap/args.lua is neap.args.
local function module_name(path)
  local inner = path:match '/lua/(neap/.+)%.lua$' or path:match '/lua/(neap)%.lua$'
  return (inner:gsub('/init$', ''):gsub('/', '.'))
end

local function fail(path, line, message)
  error(('%s:%d: %s'):format(path, line, message), 0)
end

-- The text of the regions of one header, and its place among the headers of its room. The marks
-- are comments with a line to themselves.
local function header_regions(path)
  local kept, inside, number = {}, false, 0
  for line in (read(path) .. '\n'):gmatch '(.-)\r?\n' do
    number = number + 1
    if line:find '^%s*/[*/]%s*cdef:begin' then
      if inside then fail(path, number, 'cdef:begin inside a region') end
      inside = true
    elseif line:find '^%s*/[*/]%s*cdef:end' then
      if not inside then fail(path, number, 'cdef:end outside a region') end
      inside = false
    elseif inside then
      if line:find '^%s*#' then
        fail(path, number, 'ffi.cdef knows no preprocessor: move this line out of the region')
      end
      kept[#kept + 1] = line
    end
  end
  if inside then fail(path, number, 'the file ends inside a cdef region') end
  local order = read(path):match 'cdef:order%s+(%d+)'
  return table.concat(kept, '\n'), tonumber(order or 1000)
end

local function strip(text)
  text = text:gsub('/%*.-%*/', ' '):gsub('//[^\n]*', ''):gsub('%f[%w_]NP_API%f[^%w_]', '')
  return (text:gsub('[ \t]+', ' '):gsub('%s*\n%s*', '\n'):gsub('^%s+', ''))
end

local function collect()
  local layers, modules, headers = read_layers(), {}, {}
  for path in io.lines(list_path) do
    if path:find '%.lua$' then
      modules[#modules + 1] = { name = module_name(path), data = read(path) }
    else
      local room = path:match '/engine/([^/]+)/[^/]+$'
      local text, order = header_regions(path)
      local layer = layers[room] or error(path .. ': no such room in ' .. layers_path, 0)
      headers[#headers + 1] = { layer = layer, order = order, path = path, text = text }
    end
  end
  table.sort(modules, function(a, b) return a.name < b.name end)
  table.sort(headers, function(a, b)
    if a.layer ~= b.layer then return a.layer < b.layer end
    if a.order ~= b.order then return a.order < b.order end
    return a.path < b.path
  end)
  local cdef = {}
  for index, header in ipairs(headers) do cdef[index] = strip(header.text) .. '\n' end
  return modules, (table.concat(cdef):gsub('\n+', '\n'))
end

local escapes = { ['\n'] = '\\n', ['\r'] = '\\r', ['\t'] = '\\t', ['"'] = '\\"', ['\\'] = '\\\\' }

-- One C literal a line; octal, because \x would swallow the digits after it.
local function literal(text)
  local lines = {}
  for line in text:gmatch '[^\n]*\n?' do
    lines[#lines + 1] = '"' .. line:gsub('[%c"\\?\128-\255]', function(char)
      return escapes[char] or ('\\%03o'):format(char:byte())
    end) .. '"'
  end
  return table.concat(lines, '\n')
end

local function c_source(modules, cdef)
  local out = { '/* Written by cmake/embed.lua. */', '#include "base/embedded.h"', '' }
  local function add(format, ...) out[#out + 1] = format:format(...) end
  add 'const np_embedded_module np_embedded_modules[] = {'
  for _, module in ipairs(modules) do
    add('{"%s",\n%s,\n%dUL},', module.name, literal(module.data), #module.data)
  end
  add '{0, 0, 0}};' -- Never counted: C has no empty array.
  add('const unsigned long np_embedded_module_count = %dUL;', #modules)
  add('const char np_embedded_cdef[] =\n%s;', literal(cdef))
  return table.concat(out, '\n') .. '\n'
end

local modules, cdef = collect()
local out = assert(io.open(out_path, 'wb'))
assert(out:write(out_path:find '%.h$' and cdef or c_source(modules, cdef)))
assert(out:close())

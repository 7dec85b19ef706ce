--- Every snippet of the pages runs and prints what stands below it.
local PAGES = { 'README.md', 'docs/guide.md' }

local command = os.getenv 'NEAP_COMMAND' or 'build/release/neap'

local function read(path)
  local file = assert(io.open(path, 'rb'))
  local text = file:read '*a'
  file:close()
  return text
end

-- A block of Lua, and the block right after it (perhaps behind one line of prose) that is what it
-- prints.
local function snippets(path)
  local list, text = {}, read(path)
  local at = 1
  while true do
    local first, last, code = text:find('```lua\n(.-)```\n', at)
    if not first then return list end
    local _, _, expected = text:find('\n```\n(.-)```', last)
    local line = select(2, text:sub(1, first):gsub('\n', '\n')) + 1
    list[#list + 1] = { path = path, line = line, code = code, expected = expected }
    at = last + 1
  end
end

local function output_of(code)
  local path = os.tmpname()
  local file = assert(io.open(path, 'w'))
  file:write(code)
  file:close()
  local pipe = assert(io.popen(('timeout 60 %s %s 2>&1'):format(command, path)))
  local text = pipe:read '*a'
  pipe:close()
  os.remove(path)
  return text
end

describe('docs', function()
  for _, page in ipairs(PAGES) do
    local found = snippets(page)
    it('has snippets in ' .. page, function() assert.is_true(#found > 0) end)
    for _, snippet in ipairs(found) do
      it(('runs the snippet at %s:%d'):format(snippet.path, snippet.line), function()
        assert.is_truthy(snippet.expected)
        assert.equal(snippet.expected, output_of(snippet.code))
      end)
    end
  end
end)

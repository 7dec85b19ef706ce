--- The examples of hosts: each builds with one line, runs, ends clean, and holds its frames.
--- What neap.h promises call by call is engine/embed/embed_test.c.
local environment = os.getenv
local library = environment 'NEAP_LIB' or './build/release/libneap.so'
local directory = library:match '^(.*)/' or '.'

local function run(command)
  local pipe = io.popen(command .. ' 2>&1; echo "status $?"')
  local text = pipe:read '*a'
  pipe:close()
  local status = tonumber(text:match 'status (%d+)%s*$')
  return status, text
end

-- A sanitized library wants its host built the same way.
local is_release = directory:find 'release' ~= nil

describe('an example host', function()
  local binary = os.tmpname()
  teardown(function() os.remove(binary) end)

  local function build(compiler, standard)
    local line = '%s -std=%s -D_GNU_SOURCE -O2 -Wall -Wextra -pedantic -Werror -Iengine/include '
      .. 'scripts/examples/embed/frames.c -o %s -L%s -lneap -Wl,-rpath,%s'
    return run(line:format(compiler, standard, binary, directory, directory))
  end

  it('in C builds with one line and runs its scripts beside the frames', function()
    if not is_release then return end
    local status, text = build('gcc', 'c11')
    assert.equal(0, status, text)
    status, text = run(binary .. ' 600')
    assert.equal(0, status, text)
    assert.matches('8 of 8 scripts ended, 14683 primes', text)
    assert.matches('primes from 1 to 20000: 2262', text)
  end)

  it('in C leaves scripts that run when it ends', function()
    if not is_release then return end
    local status, text = run(binary .. ' --measure 20')
    assert.equal(0, status, text)
    assert.matches('without neap +frame p50', text)
    assert.matches('neap, computing +frame p50', text)
  end)

  it('in Lua runs under a stock LuaJIT', function()
    if not is_release then return end
    local status, text = run 'luajit scripts/examples/embed/frames.lua 600'
    assert.equal(0, status, text)
    assert.matches('8 of 8 workers ended, 14683 primes', text)
  end)

  it('in Lua leaves tasks that run when it ends', function()
    if not is_release then return end
    local status, text = run 'luajit scripts/examples/embed/frames.lua --measure 20'
    assert.equal(0, status, text)
    assert.matches('neap, computing +frame p50', text)
  end)
end)

describe('neap.h', function()
  local source = os.tmpname()
  teardown(function() os.remove(source) end)

  local DIALECTS = { 'gcc -x c -std=c99', 'gcc -x c -std=c11', 'g++ -x c++ -std=c++11',
    'g++ -x c++ -std=c++20' }
  for _, how in ipairs(DIALECTS) do
    it('is clean for ' .. how, function()
      local file = io.open(source, 'w')
      file:write '#include <neap.h>\n'
      file:write 'int main(void) { return NEAP_ABI_CHECK() == NEAP_OK ? 0 : 1; }\n'
      file:close()
      local flags = '-Wall -Wextra -pedantic -Werror -fsyntax-only -Iengine/include'
      local status, text = run(('%s %s %s'):format(how, flags, source))
      assert.equal(0, status, text)
    end)
  end
end)

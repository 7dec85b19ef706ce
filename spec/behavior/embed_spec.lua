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

  local function build(compiler, standard, extra)
    return run(('%s -x %s -std=%s -O2 -Wall -Wextra -pedantic -Werror -Iengine/include %s %s -o %s -L%s -lneap -Wl,-rpath,%s')
      :format(compiler, extra or 'c', standard, '-D_GNU_SOURCE', 'scripts/examples/embed/frames.c', binary, directory,
        directory))
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

  for _, how in ipairs { 'gcc -x c -std=c99', 'gcc -x c -std=c11', 'g++ -x c++ -std=c++11', 'g++ -x c++ -std=c++20' } do
    it('is clean for ' .. how, function()
      local file = io.open(source, 'w')
      file:write '#include <neap.h>\nint main(void) { return NEAP_ABI_CHECK() == NEAP_OK ? 0 : 1; }\n'
      file:close()
      local status, text = run(('%s -Wall -Wextra -pedantic -Werror -fsyntax-only -Iengine/include %s'):format(how, source))
      assert.equal(0, status, text)
    end)
  end
end)

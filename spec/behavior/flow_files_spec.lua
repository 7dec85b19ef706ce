--- Counting words in trees of odd files, by the command: time limit: 200
local helper = require 'spec_helper'
local root = debug.getinfo(1, 'S').source:match '^@(.*)spec/behavior/' or ''
local NEAP = os.getenv 'NEAP_COMMAND' or root .. 'build/release/neap'
local SCRIPT = root .. 'scripts/examples/wordcount.lua'

local function shell(command)
  local file = io.popen(command .. '; echo "status $?"')
  local out = file:read '*a'
  file:close()
  local text, status = out:match '^(.*)status (%d+)\n$'
  return text, tonumber(status)
end

local function write(path, text)
  local file = assert(io.open(path, 'wb'))
  file:write(text)
  file:close()
end

local EXPECTED = [[find %s -type f -print0 | xargs -0 grep -ah '' | tr -s '[:space:]' '\n' |]]
  .. [[ grep -av '^$' | LC_ALL=C sort | uniq -c | LC_ALL=C sort -k1,1nr -k2 | head -20 |]]
  .. [[ awk '{print $1 " " $2}']]

describe('word count', function()
  local directory

  before_each(function()
    directory = os.tmpname()
    os.remove(directory)
    os.execute('mkdir -p ' .. directory .. '/a/b')
  end)
  after_each(function() os.execute('chmod -R u+rwx ' .. directory .. '; rm -rf ' .. directory) end)

  local function count(more)
    return shell(('%s %s %s %s 2>&1'):format(NEAP, SCRIPT, directory, more or ''))
  end

  it('is that of grep, tr, sort and uniq', function()
    write(directory .. '/a/x', 'the cat\nthe dog\n\n  the end')
    write(directory .. '/a/b/y', 'a cat\ta\vdog\r\nthe\n')
    write(directory .. '/a/b/.hidden', 'hidden hidden')
    local wanted = shell("bash -c \"" .. EXPECTED:format(directory):gsub('[$"\\]', '\\%0') .. '"')
    local got, status = count()
    assert.equal(0, status)
    assert.equal(wanted, got)
  end)

  it('of an empty directory is nothing', function()
    local got, status = count()
    assert.equal('', got)
    assert.equal(0, status)
  end)

  it('reads binary files as bytes', function()
    write(directory .. '/a/bin', 'x\0y x\0y \255\254 z')
    local got, status = count()
    assert.equal(0, status)
    assert.matches('2 x%zy\n', got)
  end)

  it('takes a line of many megabytes', function()
    local size = helper.quick and 2 or 100
    write(directory .. '/a/long', ('word '):rep(size * 200000))
    local got, status = count()
    assert.equal(0, status)
    assert.equal(('%d word\n'):format(size * 200000), got)
  end)

  it('names what it cannot read, goes on, and exits with 1', function()
    write(directory .. '/a/x', 'one')
    os.execute(('ln -s nowhere %s/a/dangling'):format(directory))
    local got, status = shell(("%s -e '%s' %s 2>&1"):format(NEAP,
      'local neap = require "neap" print(neap.list({ ... }):lines():count():run())',
      directory .. '/a/x ' .. directory .. '/gone'))
    assert.equal(1, status)
    assert.matches('neap: io: cannot open [^\n]*gone: no such file', got)
    assert.matches('\n1\n', '\n' .. got)
  end)

  it('ends by an interrupt, with status 130, however much is left to read', function()
    local code = [[require"neap".lines("-"):words("%S+"):count_by():top(3):run()]]
    -- Endless input: only the signal can end it; one that did not would be killed (137).
    local line = "yes 'a b c' | timeout --preserve-status -k 5 -s INT 0.5 %s -e '%s' 2>&1"
    local text, status = shell(line:format(NEAP, code))
    assert.equal(130, status)
    assert.equal('', text)
  end)

  it('by letters is native, and with a Lua function a word the same', function()
    write(directory .. '/a/x', 'the cat, the dog; a cat-fish')
    local native = count '--letters'
    assert.equal('2 cat\n2 the\n1 a\n1 dog\n1 fish\n', native)
    assert.equal('2 cat\n2 the\n1 dog\n1 fish\n', (count '--letters --least 3'))
  end)
end)

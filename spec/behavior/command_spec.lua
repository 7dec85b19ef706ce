--- The neap command: exit statuses, signals, arguments, output. And what a stock luajit does at
--- its end with tasks still running. time limit: 180
local support = require 'behavior.support'
local command, shell, stock, neap = support.command, support.shell, support.stock, support.neap

local ROUNDS = support.quick and 20 or 200

-- Runs `code`, sends it `signal` once it has printed READY, and says how it died and how fast.
local function signaled(signal, code)
  local file = os.tmpname()
  local handle = assert(io.open(file, 'w'))
  handle:write(code)
  handle:close()
  local out, status = shell(([[
    out=$(mktemp)
    bash -c 'exec timeout -s KILL 20 "$0" "$1"' %s %s >"$out" 2>&1 &
    wrapper=$!
    for i in $(seq 1000); do grep -q READY "$out" && break; sleep 0.01; done
    child=$(pgrep -P $wrapper | head -n 1)
    before=$(date +%%s%%N)
    kill -%s $child
    wait $wrapper
    status=$?
    after=$(date +%%s%%N)
    cat "$out"; rm -f "$out" %s
    echo "took $(( (after - before) / 1000000 ))"
    exit $status]]):format(neap, file, signal, file))
  return out, status, tonumber(out:match 'took (%d+)')
end

local PARKED = [[
  local neap = require 'neap'
  local ch = neap.channel()
  for index = 1, 3 do
    neap.go(function()
      neap.defer(function()
        neap.sleep(0.001)
        print('deferred', index)
      end)
      ch:recv()
    end)
  end
  neap.spawn(function()
    neap.defer(print, 'deferred', 'pool')
    neap.sleep(100)
  end)
  neap.sleep(0.02)
  io.stdout:write 'READY\n'
  io.stdout:flush()
  neap.sleep(100)]]

-- The command is the same whoever asks: its part runs once, with the own loop.
if support.own then describe('neap', function()
  it('ends with 0', function()
    assert.same({ '', 0 }, { command '' })
    assert.same({ 'hello\n', 0 }, { command 'print "hello"' })
    assert.same({ '', 0 }, { command 'return 7' })
  end)

  it('waits for its tasks, and ends with 0 then', function()
    local out, status = command [[
      local neap = require 'neap'
      for index = 1, 3 do neap.go(function() neap.sleep(index / 100) print(index) end) end
      neap.spawn(function() neap.sleep(0.05) print 'spawned' end)
      neap.go({ daemon = true }, neap.sleep, 1000)
      print 'main']]
    assert.same({ 'main\n1\n2\n3\nspawned\n', 0 }, { out, status })
  end)

  it('ends with 1 after an error: neap: KIND: message, task, place', function()
    local out, status = command 'error "boom"'
    assert.equal(1, status)
    assert.matches('^neap: error: %(%-e%):1: boom\n', out)
    assert.matches('at %(%-e%):1: in main chunk', out)
    out, status = command 'error({ code = 7 })'
    assert.equal(1, status)
    assert.matches('^neap: error: %(a table was raised%)', out)
    out, status = command 'error()'
    assert.equal(1, status)
    assert.matches('^neap: error: nil', out)
    out, status = command 'require("neap").channel(-1)'
    assert.equal(1, status)
    assert.matches('^neap: argument: %(%-e%):1: bad argument', out)
  end)

  it('ends with 1 after an error while tasks run', function()
    local out, status = command [[
      local neap = require 'neap'
      for _ = 1, 10 do
        neap.go(function() neap.defer(print, 'unwound') neap.sleep(1000) end)
        neap.spawn(function() neap.sleep(1000) end)
      end
      neap.sleep(0.01)
      error 'boom']]
    assert.equal(1, status)
    assert.equal(10, select(2, out:gsub('unwound\n', '')))
    assert.matches('neap: error: %(%-e%):7: boom', out)
  end)

  it('ends with 1 after a syntax error or a missing file', function()
    local out, status = command 'for ='
    assert.equal(1, status)
    assert.matches('^neap: error: %(%-e%):1:', out)
    out, status = shell(neap .. ' /no/such/file.lua')
    assert.equal(1, status)
    assert.matches('^neap: error: cannot open /no/such/file.lua', out)
  end)

  it('ends with 2 after misuse, which it explains', function()
    for _, arguments in ipairs { '-e', '--frob', '-x script.lua' } do
      local out, status = shell(neap .. ' ' .. arguments)
      assert.equal(2, status, arguments)
      assert.matches('usage: neap FILE', out)
    end
    local out, status = shell(neap .. ' --help')
    assert.equal(0, status)
    assert.matches('usage: neap FILE', out)
    out, status = shell(neap .. ' --version')
    assert.equal(0, status)
    assert.matches('^neap %d+%.%d+', out)
  end)

  it('ends with 2 after a deadlock', function()
    local out, status = command 'require("neap").channel():recv()'
    assert.equal(2, status)
    assert.matches('^neap: deadlock: ', out)
  end)

  it('gives arguments as arg and ...', function()
    local file = os.tmpname()
    local handle = assert(io.open(file, 'w'))
    handle:write 'print(arg[0] == FILE, arg[1], arg[2], #arg, select("#", ...), ...)'
    handle:close()
    shell(("sed -i 's#FILE#\"%s\"#' %s"):format(file, file))
    local out, status = shell(('%s %s a "b c"'):format(neap, file))
    assert.same({ 'true\ta\tb c\t2\t2\ta\tb c\n', 0 }, { out, status })
    os.remove(file)
    assert.same({ 'x\ty\n', 0 }, { shell(neap .. " -e 'print(...)' x y") })
    assert.same({ 'x\t1\n', 0 }, { shell(("echo 'print(..., #arg)' | %s - x"):format(neap)) })
    assert.same({ '3\n', 0 }, { shell(("echo 'print(1 + 2)' | %s"):format(neap)) })
  end)

  it('finds modules beside the script', function()
    local out, status = shell(([[
      dir=$(mktemp -d)
      echo 'return { name = "mine" }' > "$dir/mine.lua"
      echo 'local neap, mine = require "neap", require "mine"
        print(neap.spawn(function() return require("mine").name, mine.name end):join())
        ' > "$dir/main.lua"
      %s "$dir/main.lua"
      rm -r "$dir"]]):format(neap))
    assert.same({ 'mine\tmine\n', 0 }, { out, status })
  end)

  it('prints whole lines from many workers', function()
    local out, status = command [[
      local neap = require 'neap'
      for number = 1, 8 do
        neap.spawn(function()
          for _ = 1, 200 do print(number, ('x'):rep(200), ('y'):rep(200)) end
        end)
      end]]
    assert.equal(0, status)
    local count = 0
    local x, y = ('x'):rep(200), ('y'):rep(200)
    for line in out:gmatch '[^\n]+' do
      assert.is_truthy(line:match('^%d\t' .. x .. '\t' .. y .. '$'), line)
      count = count + 1
    end
    assert.equal(1600, count)
  end)

  it('os.exit ends at once with its status, whatever runs', function()
    local out, status = shell(([[
      for i in $(seq %d); do
        timeout -k 1 10 %s -e '
          local neap = require "neap"
          local ch = neap.channel(10, { shared = true })
          for _ = 1, 4 do
            neap.spawn(function() while true do ch:send(1) end end)
            neap.go(function() while true do ch:recv() end end)
          end
          neap.sleep(0.001)
          os.exit(7)' || echo $?
      done | sort | uniq -c]]):format(ROUNDS, neap))
    assert.equal(0, status)
    assert.equal(('%d 7'):format(ROUNDS), (out:gsub('^%s+', ''):gsub('%s+$', '')))
  end)

  it('os.exit also from another worker', function()
    local out, status = shell(([[
      for i in $(seq %d); do
        timeout -k 1 10 %s -e '
          local neap = require "neap"
          neap.spawn(function() os.exit(5) end)
          neap.sleep(100)' || echo $?
      done | sort | uniq -c]]):format(math.ceil(ROUNDS / 4), neap))
    assert.equal(0, status)
    assert.equal(('%d 5'):format(math.ceil(ROUNDS / 4)), (out:gsub('^%s+', ''):gsub('%s+$', '')))
  end)

  for signal, expected in pairs { INT = 130, TERM = 143 } do
    it(('dies of SIG%s, after its tasks have unwound, within 100 ms'):format(signal), function()
      local out, status, took = signaled(signal, PARKED)
      assert.equal(expected, status, out)
      for index = 1, 3 do assert.matches('deferred\t' .. index, out) end
      assert.matches('deferred\tpool', out)
      assert.is_true(took < (support.quick and 1000 or 300), ('took %d ms'):format(took))
    end)
  end

  it('ends at the second signal', function()
    local out, status = shell(([[
      out=$(mktemp)
      bash -c 'exec timeout -s KILL 20 "$0" -e "$1"' %s '
        local neap = require "neap"
        neap.defer(neap.sleep, 100)
        io.stdout:write "READY\n" io.stdout:flush()
        neap.sleep(100)' >"$out" 2>&1 &
      wrapper=$!
      for i in $(seq 1000); do grep -q READY "$out" && break; sleep 0.01; done
      child=$(pgrep -P $wrapper | head -n 1)
      kill -TERM $child; sleep 0.2; kill -TERM $child
      wait $wrapper]]):format(neap))
    assert.equal(143, status, out)
  end)

  it('ends with the error of a task’s deferred function', function()
    local out, status = command [[
      local neap = require 'neap'
      neap.go(function() neap.defer(error, 'in cleaning up') end)]]
    assert.equal(1, status)
    assert.matches('^neap: error: in cleaning up', out)
  end)

  it('ends with the error of the main task’s deferred function', function()
    local out, status = command "require('neap').defer(error, 'in cleaning up')"
    assert.equal(1, status)
    assert.matches('neap: error: in cleaning up', out)
  end)
end) end

if not support.own then describe('a stock luajit', function()
  local RUNNING = [[
    local neap = require 'neap'
    local ch = neap.channel(0, { shared = true })
    for _ = 1, 3 do
      neap.go(function() ch:recv() end)
      neap.spawn(function() while true do ch:send(1) end end)
      neap.spawn(neap.sleep, 1000)
    end
    neap.sleep(0.001)
  ]]

  it('ends cleanly with tasks running', function()
    for _ = 1, support.quick and 3 or 10 do assert.same({ '', 0 }, { stock(RUNNING) }) end
  end)

  it('ends cleanly after an error', function()
    local out, status = stock(RUNNING .. ' error "boom"')
    assert.equal(1, status)
    assert.matches('boom', out)
  end)

  it('ends cleanly by os.exit, and when it closes its state', function()
    for _ = 1, support.quick and 2 or 5 do
      assert.same({ '', 7 }, { stock(RUNNING .. ' os.exit(7)') })
      assert.same({ '', 7 }, { stock(RUNNING .. ' os.exit(7, true)') })
    end
  end)

  it('may drop the module and collect it', function()
    local out, status = stock(RUNNING .. [[
      neap, ch = nil, nil
      for name in pairs(package.loaded) do
        if name:match '^neap' then package.loaded[name] = nil end
      end
      for _ = 1, 5 do collectgarbage() end
      io.write 'fine']])
    assert.same({ 'fine', 0 }, { out, status })
  end)

  it('gets an error out of run', function()
    local out, status = stock [[
      local neap = require 'neap'
      local ok, e = pcall(neap.run, function() neap.go(function() error('boom', 0) end) end)
      print(ok, e.kind, e.message)
      neap.run(function() neap.channel():recv() end)]]
    assert.equal(1, status)
    assert.matches('false\terror\tboom\n', out)
    assert.matches('deadlock: all tasks wait', out)
  end)
end) end

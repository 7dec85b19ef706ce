--- The progress of a job: what is made of its figures, and where the line appears and goes. The
--- figures here are made up; time is told, not waited for, but on the terminal.
local pty = require 'behavior.pty'
local figures = require 'neap.cli.figures'
local progress = require 'neap.cli.progress'

describe('figures of a job', function()
  it('read well', function()
    local counts = { [0] = '0', [950] = '950', [1200] = '1.2k', [34000] = '34k', [5.6e6] = '5.6M',
      [999600] = '1.0M' }
    for n, text in pairs(counts) do assert.equal(text, figures.count(n)) end
    assert.equal('512 B', figures.bytes(512))
    assert.equal('4.8 GB', figures.bytes(4.8e9))
    local times = { [0.44] = '0.4 s', [12.3] = '12 s', [185] = '3:05', [3723] = '1:02:03' }
    for seconds, text in pairs(times) do assert.equal(text, figures.time(seconds)) end
  end)

  it('give a rate, a share and a time that is left', function()
    local tracker, view = figures.tracker(100), nil
    for tick = 1, 50 do
      local stats = { items = tick * 2e5, bytes = tick * 1e7, total_bytes = 1e9 }
      view = tracker:update(stats, 100 + tick * 0.2)
    end
    assert.is_true(math.abs(view.item_rate - 1e6) < 1e4)
    assert.is_true(math.abs(view.byte_rate - 5e7) < 1e6)
    assert.equal(0.5, view.share)
    assert.is_true(math.abs(view.eta - 10) < 0.5)
  end)

  it('promise no end before three seconds and two percent', function()
    local tracker = figures.tracker(0)
    assert.is_nil(tracker:update({ bytes = 5e8, total_bytes = 1e9 }, 2.9).eta)
    tracker = figures.tracker(0)
    assert.is_nil(tracker:update({ bytes = 1e7, total_bytes = 1e9 }, 10).eta)
    assert.is_not_nil(tracker:update({ bytes = 3e7, total_bytes = 1e9 }, 11).eta)
  end)

  it('say that nothing moves instead of billions of years', function()
    local tracker = figures.tracker(0)
    tracker:update({ bytes = 5e8, total_bytes = 1e9 }, 4)
    local view = tracker:update({ bytes = 5e8, total_bytes = 1e9 }, 16)
    assert.is_nil(view.eta)
    assert.equal(12, view.stalled)
    assert.matches('stalled 12 s', progress.line(view, 80))
  end)

  it('name the stage that works while those after it starve', function()
    local stages = {
      { name = 'files', running = 1, starved = 0, blocked = 9 },
      { name = 'parse', running = 97, starved = 1, blocked = 2 },
      { name = 'count', running = 1, starved = 9, blocked = 0 },
    }
    local view = figures.tracker(0):update({ stages = stages }, 1)
    assert.equal('parse', view.slowest)
    assert.matches('slowest: parse 97%%', progress.line(view, 120))
    stages[2].running = 0
    assert.is_nil(figures.tracker(0):update({ stages = stages }, 1).slowest)
  end)

  it('know a range by its items', function()
    local view = figures.tracker(0):update({ items = 25, total_items = 100 }, 5)
    assert.equal(0.25, view.share)
    assert.matches('25 of 100', progress.line(view, 80))
  end)

  it('make do with what there is', function()
    local all = { {}, { items = 5 }, { bytes = 1 }, { stages = {} }, { stages = { {} } },
      { segments = { {}, { waiting = 3, name = 'words' } } }, { total_bytes = 0 },
      { items = 0, total_items = 0 } }
    for _, stats in ipairs(all) do
      local tracker = figures.tracker(0)
      for now = 0, 2 do
        local view = tracker:update(stats, now)
        assert.is_true(#progress.line(view, 80) < 80)
        assert.matches('^neap: ', progress.plain(view))
      end
    end
  end)
end)

describe('the progress line', function()
  local view = figures.tracker(0):update({
    items = 1.5e6, bytes = 151e6, total_bytes = 200e6,
    stages = { { name = 'parse', running = 9, starved = 1, blocked = 0 } },
  }, 5)

  it('is shorter than the terminal is wide: parts are left out, never cut', function()
    for columns = 1, 200 do
      local text = progress.line(view, columns)
      assert.is_true(#text < columns)
      assert.is_nil(text:find '%s$')
    end
    assert.equal('[=====>  ]  75%  eta 1.6 s  151 of 200 MB  30 MB/s  300k items/s',
      progress.line(view, 70))
    assert.matches('slowest: parse 90%%$', progress.line(view, 90))
  end)

  it('has a form for logs', function()
    assert.equal('neap: 75 %, eta 1.6 s, 151 of 200 MB, 30 MB/s, 300k items/s, slowest: parse 90%',
      progress.plain(view))
  end)
end)

local command = os.getenv 'NEAP_COMMAND' or './build/release/neap'
local is_release = command:find 'release' ~= nil
local run = is_release and describe or pending

run('progress under the command', function()
  local script = os.tmpname()
  local file = io.open(script, 'w')
  file:write [[
    local neap = require 'neap'
    local began = neap.now()
    local shown = require 'neap.cli.progress'.attach { stats = function()
      return { items = (neap.now() - began) * 1000, bytes = 5e7, total_bytes = 2e8 }
    end }
    local seconds = tonumber(arg[1])
    local half = neap.spawn(function()
      neap.sleep(seconds * 0.6)
      print 'from a worker'
    end)
    neap.sleep(seconds)
    print 'before the end'
    half:join()
    if arg[2] == 'error' then error 'boom' end
    shown:finish()
    print 'the end'
  ]]
  file:close()
  teardown(function() os.remove(script) end)

  -- What a terminal of 80 columns shows in the end: each line as it was last drawn.
  local function screen(text)
    local lines = {}
    for line in (text:gsub('\27%[[%d;?]*[^K%d;]', '') .. '\n'):gmatch '(.-)\r?\n' do
      local shown = ''
      for part in (line .. '\r'):gmatch '([^\r]*)\r' do
        local erased, clean = part:find('\27[K', 1, true), part:gsub('\27%[K', '')
        shown = erased and clean or clean .. shown:sub(#clean + 1)
      end
      lines[#lines + 1] = shown
    end
    return table.concat(lines, '\n')
  end

  local function on_terminal(...)
    local p = pty.open({ command, script, ... }, { 'TERM=xterm', 'NEAP_WORKERS=2' })
    local status = p:finish()
    return p.text, status
  end

  it('appears after a second, makes way for output and is gone at the end', function()
    local text, status = on_terminal '1.6'
    assert.equal(0, status)
    assert.matches('50 of 200 MB', text)
    assert.equal('from a worker\nbefore the end\nthe end\n\n', screen(text) .. '\n')
  end)

  it('shows nothing for what is over within a second', function()
    assert.equal('from a worker\r\nbefore the end\r\nthe end\r\n', (on_terminal '0.3'))
  end)

  it('makes way for errors, too', function()
    local text, status = on_terminal('1.6', 'error')
    assert.equal(1, status)
    assert.matches('before the end\nneap: error: ', screen(text))
  end)

  local function piped(options)
    local pipe = io.popen(('%s %s %s 0.5 2>&1; echo "status $?"'):format(command, options, script))
    local text = pipe:read '*a'
    pipe:close()
    return text
  end

  it('is silent without a terminal, unless plain lines are asked for', function()
    assert.equal('from a worker\nbefore the end\nthe end\nstatus 0\n', piped '')
    local text = piped '--progress=plain:0.2'
    assert.matches('neap: 25 %%, 0%.2 s, 50 of 200 MB', text)
    assert.matches('neap: 25 %%, 0%.5 s, .*the end', text)
  end)

  it('refuses options that make no sense', function()
    local wrong = { '--progress', '--progress=x', '--progress=plain:0', '--progress=line:3' }
    for _, option in ipairs(wrong) do
      assert.matches('%-%-progress is plain.*status 2', piped(option))
    end
  end)
end)

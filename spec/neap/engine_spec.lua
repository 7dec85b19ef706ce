--- Settings and workers.
local neap = require 'neap'
local support = require 'behavior.support'
local raises, command, stock = support.raises, support.command, support.stock

describe('engine', function()
  it('has as many workers as NEAP_WORKERS says, or as there are CPUs', function()
    local program = 'print(require("neap").workers())'
    for _, run in ipairs { command, stock } do
      local out = run(program)
      assert.is_true(tonumber(out) >= 1)
    end
    local out = support.shell(('NEAP_WORKERS=3 %s -e %q'):format(support.neap, program))
    assert.equal('3\n', out)
    local status
    out, status = support.shell(('NEAP_WORKERS=many %s -e %q'):format(support.neap, program))
    assert.equal(1, status)
    assert.matches('NEAP_WORKERS: expected an integer', out)
  end)

  it('runs spawned tasks itself when there are no workers', function()
    for _, run in ipairs { command, stock } do
      local out, status = run [[
        local neap = require 'neap'
        neap.configure { workers = 0 }
        neap.run(function()
          local ch = neap.channel()
          local item = { 1 }
          local task = neap.spawn(function(got) got[1] = 2 ch:send(got[1]) return 'v' end, item)
          print(ch:recv(), item[1], (task:join()), neap.workers())
        end)]]
      assert.same({ '2\t1\tv\t0\n', 0 }, { (out:gsub('true\t', '')), status })
    end
  end)

  it('takes settings before the first spawn only', function()
    for _, run in ipairs { command, stock } do
      local out, status = run [[
        local neap = require 'neap'
        neap.configure { workers = 2 }
        neap.spawn(function() end):join()
        neap.configure { workers = 2 }
        local ok, e = pcall(neap.configure, { workers = 3 })
        print(ok, e.kind, neap.workers())]]
      assert.same({ 'false\tstate\t2\n', 0 }, { out, status })
    end
  end)

  it('refuses settings that make no sense', function()
    raises('argument', neap.configure, { workers = -1 })
    raises('argument', neap.configure, { workers = 1.5 })
    raises('argument', neap.configure, { grace = 'long' })
    assert.matches('grace', raises('argument', neap.configure, { grac = 1 }).message)
  end)

  it('spreads spawned tasks over its workers', function()
    neap.run(function()
      local gate, workers, tasks = neap.channel(), {}, {}
      for index = 1, 2 * neap.workers() do
        tasks[index] = neap.spawn(function()
          gate:recv()
          local stop = neap.now() + 0.005
          repeat until neap.now() > stop
          return neap.tasks()[1].worker
        end)
      end
      gate:close()
      for index = 1, #tasks do workers[tasks[index]:join()] = true end
      for number in pairs(workers) do assert.is_true(number >= 1 and number <= neap.workers()) end
    end)
  end)
end)

--- What the planner makes of a graph, as `explain` tells.
local neap = require 'neap'

describe('explain', function()
  it('fuses Lua stages into one step', function()
    local text = neap.range(1, 10):map(function(x) return x end)
      :filter(function() return true end):sum():explain()
    assert.matches('Lua     map > filter > sum > value', text, 1, true)
    assert.is_nil(text:find('edge', 1, true))
  end)

  it('splits files at the workers and counts without a line or a Lua string', function()
    local text = neap.files('x'):lines():fan_out(2):words():count_by():top(3):explain()
    assert.matches('2 tasks on the workers', text, 1, true)
    assert.matches('text of files, split at the workers', text, 1, true)
    assert.matches('native  words %S+ of whole blocks', text, 1, true)
    assert.matches('native  count_by (combine) + top 3', text, 1, true)
    assert.is_nil(text:find('native  lines', 1, true))
  end)

  it('closes a region before a stage that needs all items', function()
    local text = neap.range(1, 10):fan_out(2):map(function(x) return x end):take(3):explain()
    assert.matches('2  here, one task', text, 1, true)
  end)

  it('tells the source how many are wanted', function()
    local text = neap.range(1, 10):map(function(x) return x end):take(3):explain()
    assert.matches('at most 3', text, 1, true)
  end)

  it('combines a reduction only if it knows how', function()
    local add = function(a, b) return a + b end
    local text = neap.range(1, 10):fan_out(2):reduce(0, add):explain()
    assert.is_nil(text:find('partial', 1, true))
    text = neap.range(1, 10):fan_out(2):reduce(0, add, add):explain()
    assert.matches('reduce (partial)', text, 1, true)
  end)
end)

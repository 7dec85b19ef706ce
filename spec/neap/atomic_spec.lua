--- Atomics: SY-18 of conformance.md.
local neap = require 'neap'
local support = require 'behavior.support'
local raises = support.raises

describe('atomic', function()
  it('SY-18: add, sub, min and max give the new value; swap, band and bor the old', function()
    local cell = neap.atomic(10)
    assert.equal(10, cell:load())
    assert.equal(13, cell:add(3))
    assert.equal(14, cell:add())
    assert.equal(12, cell:sub(2))
    assert.equal(11, cell:sub())
    assert.equal(11, cell:swap(6))
    assert.equal(6, cell:band(12))
    assert.equal(4, cell:load())
    assert.equal(4, cell:bor(3))
    assert.equal(7, cell:load())
    assert.equal(5, cell:min(5))
    assert.equal(5, cell:min(9))
    assert.equal(9, cell:max(9))
    assert.equal(9, cell:max(-1))
    cell:store(-1)
    assert.equal(-1, cell:load())
    assert.equal('atomic -1', tostring(cell))
  end)

  it('SY-18: compare_and_swap is true exactly when it was equal', function()
    local cell = neap.atomic(1)
    assert.is_false(cell:compare_and_swap(2, 3))
    assert.equal(1, cell:load())
    assert.is_true(cell:compare_and_swap(1, 3))
    assert.equal(3, cell:load())
  end)

  it('SY-18: wraps at 64 bits, and is exact with int64', function()
    local cell = neap.atomic(0x7fffffffffffffffLL)
    assert.is_true(cell:load64() == 0x7fffffffffffffffLL)
    cell:add(1)
    assert.is_true(cell:load64() == -0x7fffffffffffffffLL - 1)
    cell:store(2 ^ 53)
    assert.equal(2 ^ 53, cell:load())
    cell:add(1)
    assert.is_true(cell:load64() == 9007199254740993LL)
  end)

  it('SY-18: 8 tasks lose none of their adds', function()
    local COUNT = support.quick and 10000 or 1000000
    neap.run(function()
      local cell = neap.atomic()
      for index = 1, 8 do
        local run = index % 4 == 0 and neap.go or neap.spawn
        run(function()
          for _ = 1, COUNT do cell:add(1) end
        end)
      end
      neap.go(function() end):join()
      neap.scope(function() end)
      return cell
    end)
    local cell = neap.atomic()
    neap.run(function()
      for _ = 1, 8 do
        neap.spawn(function()
          for _ = 1, COUNT do cell:add(1) end
        end)
      end
    end)
    assert.equal(8 * COUNT, cell:load())
  end)

  it('is one cell wherever it goes', function()
    neap.run(function()
      local cell = neap.atomic(1)
      local back = neap.spawn(function(given)
        given:add(1)
        cell:add(1)
        return given
      end, cell):join()
      assert.equal(cell, back)
      assert.equal(3, cell:load())
    end)
  end)

  it('refuses what is no integer', function()
    local cell = neap.atomic()
    for _, v in ipairs { 1.5, 'x', 2 ^ 63, 0 / 0, true } do
      raises('argument', cell.store, cell, v)
      raises('argument', cell.add, cell, v)
      raises('argument', neap.atomic, v)
    end
    assert.matches('load', raises('argument', function() return cell:laod() end).message)
    assert.equal(0, cell:load())
  end)
end)

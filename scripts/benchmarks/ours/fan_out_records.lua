-- Hands records to two workers and collects new ones: fan_out_records.lua N tables|fused.
-- tables: from a list of tables to a Lua function; fused: made and used up inside the graph.
local neap = require "neap"
local n, ends = tonumber(arg[1]), arg[2]

local function make(i) return { id = i, value = i % 100, name = "record" } end

local function change(r) return { id = r.id, value = r.value + 1, name = r.name } end

neap.run(function()
  local sum = 0
  local records = {}
  if ends == "tables" then
    for i = 1, n do records[i] = make(i) end
  end
  local start = neap.now()
  if ends == "tables" then
    neap.list(records)
      :fan_out(2)
      :map(change)
      :fan_in()
      :each(function(r) sum = sum + r.value end)
      :run()
  else
    sum = neap.range(1, n)
      :map(make)
      :fan_out(2)
      :map(change)
      :fan_in()
      :map(function(r) return r.value end)
      :sum()
      :run()
  end
  assert(sum >= n)
  print((neap.now() - start) / n * 1e9)
end)

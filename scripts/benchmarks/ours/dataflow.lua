-- range, map, filter, map, sum: dataflow.lua N FLOOR. The first FLOOR / 2 items are dropped, so a
-- large FLOOR shows the compiler items that are not like the rest.
local neap = require "neap"
local n, floor = tonumber(arg[1]), tonumber(arg[2])

neap.run(function()
  local start = neap.now()
  local sum = neap.range(1, n)
    :map(function(x) return x * 2 + 1 end)
    :filter(function(x) return x > floor end)
    :map(function(x) return x - 3 end)
    :sum()
    :run()
  assert(sum > 0)
  print((neap.now() - start) / n * 1e9)
end)

-- Hands numbers to workers and collects their results: fan_out_numbers.lua N WORKERS
local neap = require "neap"
local n, workers = tonumber(arg[1]), tonumber(arg[2])

neap.run(function()
  local numbers, sum = {}, 0
  for i = 1, n do numbers[i] = i end
  local start = neap.now()
  neap.list(numbers)
    :fan_out(workers)
    :map(function(v) return v + 1 end)
    :fan_in()
    :each(function(v) sum = sum + v end)
    :run()
  assert(sum == n * (n + 1) / 2 + n)
  print((neap.now() - start) / n * 1e9)
end)

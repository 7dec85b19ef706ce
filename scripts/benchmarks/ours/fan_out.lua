-- Hands numbers to tasks of this worker and collects their results: fan_out.lua N TASKS
local neap = require "neap"
local n, tasks = tonumber(arg[1]), tonumber(arg[2])

neap.run(function()
  local jobs, results = neap.channel(100), neap.channel(100)
  local start = neap.now()
  neap.go(function()
    for i = 1, n do jobs:send(i) end
    jobs:close()
  end)
  neap.go(function()
    neap.scope(function()
      for _ = 1, tasks do
        neap.go(function()
          for v in jobs:iter() do results:send(v + 1) end
        end)
      end
    end)
    results:close()
  end)
  local sum = 0
  for v in results:iter() do sum = sum + v end
  assert(sum == n * (n + 1) / 2 + n)
  print((neap.now() - start) / n * 1e9)
end)

-- A source and three stages, the last of which sums: pipeline.lua N
local neap = require "neap"
local n = tonumber(arg[1])

neap.run(function()
  local numbers, doubled, grown = neap.channel(100), neap.channel(100), neap.channel(100)
  local start = neap.now()
  neap.go(function()
    for i = 1, n do numbers:send(i) end
    numbers:close()
  end)
  neap.go(function()
    for v in numbers:iter() do doubled:send(v * 2) end
    doubled:close()
  end)
  neap.go(function()
    for v in doubled:iter() do grown:send(v + 1) end
    grown:close()
  end)
  local sum = 0
  for v in grown:iter() do sum = sum + v end
  assert(sum == n * (n + 1) + n)
  print((neap.now() - start) / n * 1e9)
end)

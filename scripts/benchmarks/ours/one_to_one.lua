-- N numbers over one channel: one_to_one.lua N CAPACITY
local neap = require "neap"
local n, capacity = tonumber(arg[1]), tonumber(arg[2])

neap.run(function()
  local ch = neap.channel(capacity)
  local start = neap.now()
  neap.go(function()
    for i = 1, n do ch:send(i) end
    ch:close()
  end)
  local sum = 0
  for v in ch:iter() do sum = sum + v end
  assert(sum == n * (n + 1) / 2)
  print((neap.now() - start) / n * 1e9)
end)

-- Chooses between two channels of which one holds a value: select_ready.lua N
local neap = require "neap"
local n = tonumber(arg[1])

neap.run(function()
  local a, b = neap.channel(1), neap.channel(1)
  local cases = { a, b }
  local sum = 0
  local start = neap.now()
  for i = 1, n do
    a:send(i)
    local index, v = neap.select(cases)
    if index == 1 then sum = sum + v else sum = sum - v end
  end
  assert(sum == n * (n + 1) / 2)
  print((neap.now() - start) / n * 1e9)
end)

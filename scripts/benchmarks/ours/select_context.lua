-- Receives N numbers, ready to stop at any of them: select_context.lua N
local neap = require "neap"
local n = tonumber(arg[1])

neap.run(function()
  local ctx = neap.context():with_cancel()
  local ch = neap.channel()
  local cases = { ch, ctx }
  local start = neap.now()
  neap.go(function()
    for i = 1, n do ch:send(i) end
  end)
  local sum = 0
  for _ = 1, n do
    local index, v = neap.select(cases)
    if index == 2 then return end
    sum = sum + v
  end
  assert(sum == n * (n + 1) / 2)
  print((neap.now() - start) / n * 1e9)
end)

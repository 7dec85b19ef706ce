-- Passes a number N times around a ring of tasks: ring.lua N SIZE
local neap = require "neap"
local n, size = tonumber(arg[1]), tonumber(arg[2])

neap.run(function()
  local first, over = neap.channel(), neap.channel()

  local function pass(from, to)
    for v in from:iter() do
      if v == 0 then return over:send(true) end
      to:send(v - 1)
    end
  end

  local from = first
  for i = 1, size do
    local to = i == size and first or neap.channel()
    neap.go({ daemon = true }, pass, from, to)
    from = to
  end
  local start = neap.now()
  first:send(n)
  over:recv()
  print((neap.now() - start) / n * 1e9)
end)

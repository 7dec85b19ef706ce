-- Starts N tasks that sleep for a millisecond: sleepers.lua N
local neap = require "neap"
local n = tonumber(arg[1])

neap.run(function()
  local start = neap.now()
  neap.scope(function()
    for _ = 1, n do
      neap.go(function() neap.sleep(0.001) end)
    end
  end)
  print((neap.now() - start) / n * 1e9)
end)

-- Starts 1,000 tasks with a closure each and waits for them, N in all: start_join.lua N
local neap = require "neap"
local n = tonumber(arg[1])

neap.run(function()
  local rounds, ended = n / 1000, 0
  local start = neap.now()
  for _ = 1, rounds do
    neap.scope(function()
      for _ = 1, 1000 do
        neap.go(function() ended = ended + 1 end)
      end
    end)
  end
  assert(ended == rounds * 1000)
  print((neap.now() - start) / ended * 1e9)
end)

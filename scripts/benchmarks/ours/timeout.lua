-- Makes and cancels contexts with a timeout: timeout.lua N
local neap = require "neap"
local n = tonumber(arg[1])

neap.run(function()
  local parent = neap.background()
  local start = neap.now()
  for _ = 1, n do
    local ctx = parent:with_timeout(3600)
    ctx:cancel()
  end
  print((neap.now() - start) / n * 1e9)
end)

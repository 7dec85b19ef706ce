-- Makes contexts below one and cancels that one, N in all: cancel_children.lua N SIZE
local neap = require "neap"
local n, size = tonumber(arg[1]), tonumber(arg[2])

neap.run(function()
  local rounds, children = n / size, {}
  local start = neap.now()
  for _ = 1, rounds do
    local parent = neap.context():with_cancel()
    for i = 1, size do children[i] = parent:with_cancel() end
    parent:cancel()
    for i = 1, size do assert(children[i]:is_done()) end
  end
  print((neap.now() - start) / (rounds * size) * 1e9)
end)

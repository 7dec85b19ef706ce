-- What ours/dataflow.lua does, as a loop by hand: loop.lua N FLOOR
local neap = require "neap"
local n, floor = tonumber(arg[1]), tonumber(arg[2])

local start, sum = neap.now(), 0
for i = 1, n do
  local x = i * 2 + 1
  if x > floor then sum = sum + (x - 3) end
end
assert(sum > 0)
print((neap.now() - start) / n * 1e9)

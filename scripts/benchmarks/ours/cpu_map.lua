-- How much faster two workers are than one: cpu_map.lua N
local neap = require "neap"
local n = tonumber(arg[1])

--- The number of steps from v to 1.
local function collatz(v)
  local steps = 0
  while v ~= 1 do
    if v % 2 == 0 then v = v / 2 else v = 3 * v + 1 end
    steps = steps + 1
  end
  return steps
end

local function took(workers)
  local start = neap.now()
  assert(neap.range(1, n):fan_out(workers):map(collatz):sum():run() > 0)
  return neap.now() - start
end

neap.configure { workers = 2 }
neap.run(function()
  local one = took(1)
  print(one / took(2))
end)

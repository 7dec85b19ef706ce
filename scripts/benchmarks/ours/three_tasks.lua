-- Three tasks over an unbuffered and a buffered channel, at SITES places in the source, N items
-- in all: three_tasks.lua N SITES. Each place has bytecode, and so traces, of its own.
local neap = require "neap"
local n, sites = tonumber(arg[1]), tonumber(arg[2])

local text = [[
local neap, n = ...
local first, second = neap.channel(), neap.channel(4)
neap.go(function()
  for i = 1, n do first:send(i) end
  first:close()
end)
neap.go(function()
  for v in first:iter() do second:send(v + 1) end
  second:close()
end)
local sum = 0
for v in second:iter() do sum = sum + v end
return sum
]]

neap.run(function()
  local places, items = {}, math.floor(n / sites)
  for i = 1, sites do places[i] = assert(loadstring(text, "=site" .. i)) end
  local start = neap.now()
  for i = 1, sites do
    assert(neap.scope(places[i], neap, items) == items * (items + 1) / 2 + items)
  end
  print((neap.now() - start) / (items * sites) * 1e9)
end)

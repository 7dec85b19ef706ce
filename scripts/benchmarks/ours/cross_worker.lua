-- N numbers, or strings of 100 bytes, from another worker: cross_worker.lua N number|string
local neap = require "neap"
local n, kind = tonumber(arg[1]), arg[2]

neap.run(function()
  local ch = neap.channel(1024, { shared = true })
  local values = {}
  for i = 1, 256 do values[i] = kind == "string" and ("x"):rep(96) .. ("%04d"):format(i) or i end
  local start = neap.now()
  neap.spawn(function()
    for i = 1, n do ch:send(values[i % 256 + 1]) end
    ch:close()
  end)
  local count = 0
  for _ in ch:iter() do count = count + 1 end
  assert(count == n)
  print((neap.now() - start) / n * 1e9)
end)

-- Bytes a task that waits for a channel: blocked_memory.lua N
local neap = require "neap"
local n = tonumber(arg[1])

--- The memory of this process in bytes.
local function resident()
  for line in io.lines "/proc/self/status" do
    local kilobytes = line:match "^VmRSS:%s*(%d+) kB"
    if kilobytes then return tonumber(kilobytes) * 1024 end
  end
end

neap.run(function()
  local ch = neap.channel()
  collectgarbage()
  local before = resident()
  for _ = 1, n do
    neap.go(function() ch:recv() end)
  end
  neap.sleep(0.2) -- All of them run and park.
  print((resident() - before) / n)
  ch:close()
end)

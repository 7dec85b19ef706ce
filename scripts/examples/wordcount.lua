-- The most frequent words of all files below a directory, on all cores.
--   neap wordcount.lua DIR [--letters] [--least N]
-- Words are runs of anything but white space, or of letters. With --least N a Lua function looks
-- at each word and drops the shorter ones.
local neap = require "neap"

local dir, class, least = nil, "%S+", nil
local index = 1
while arg[index] do
  local word = arg[index]
  if word == "--letters" then
    class = "%a+"
  elseif word == "--least" then
    index = index + 1
    least = tonumber(arg[index])
  else
    dir = word
  end
  index = index + 1
end
if not dir then
  io.stderr:write "usage: neap wordcount.lua DIR [--letters] [--least N]\n"
  os.exit(2)
end

local words = neap.files(dir):lines():fan_out():words(class)
if least then
  words = words:filter(function(word) return #word >= least end)
end

for _, pair in ipairs(words:count_by():top(20):run()) do
  print(("%d %s"):format(pair[2], pair[1]))
end

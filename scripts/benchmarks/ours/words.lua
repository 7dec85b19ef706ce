-- The most frequent words of all files below a directory: words.lua CLASS DIR [LEAST LENGTH].
-- With a length, a Lua function looks at every word.
local neap = require "neap"
local class, dir, least = arg[1], arg[2], tonumber(arg[3])

neap.run(function()
  local words = neap.files(dir):lines():fan_out():words(class)
  if least then
    words = words:filter(function(word) return #word >= least end)
  end
  for _, pair in ipairs(words:count_by():top(20):run()) do
    print(("%d %s"):format(pair[2], pair[1]))
  end
end)

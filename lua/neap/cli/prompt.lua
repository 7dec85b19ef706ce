--- The prompt without a terminal: each line of standard input is a program.
local errors = require 'neap.errors'
local prompt = {}

--- @return integer exit status
function prompt.run()
  local chunk, message = loadstring(io.read '*a', '=stdin')
  if not chunk then
    io.stderr:write('neap: error: ', tostring(message), '\n')
    return 1
  end
  local ok, e = xpcall(require('neap.scope').scope, errors.catch, chunk)
  if ok then return 0 end
  io.stderr:write('neap: ', errors.user(e):report(), '\n')
  return 1
end

return prompt

--- `print` as all states of the command have it: one write a line, so that lines of different
--- tasks and workers never mix. In a module, so that it travels by name like any built-in.
local select, tostring, concat = select, tostring, table.concat

local function line(...)
  local parts, count = { ... }, select('#', ...)
  for index = 1, count do parts[index] = tostring(parts[index]) end
  io.stdout:write(concat(parts, '\t', 1, count) .. '\n')
end

print = line -- luacheck: globals print

return { line = line }

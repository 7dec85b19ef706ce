--- Runs one spec file with busted in the interpreter that runs this file, neap or luajit:
--- prints what failed and, last, `specs: N passed, N failed, N pending`. Exits with 1 unless
--- something passed and nothing failed. scripts/test sets the paths and a time limit.
local file = ... or arg[1]

local busted = require 'busted.core'()
require 'busted'(busted)
local count = { success = 0, failure = 0, error = 0, pending = 0 }

-- The describe blocks and the test: "channel gives up when its timeout passes".
local function full_name(element)
  local names = {}
  while element and element.descriptor ~= 'file' and element.descriptor ~= 'suite' do
    table.insert(names, 1, tostring(element.name or element.descriptor))
    element = busted.context.parent(element)
  end
  return table.concat(names, ' ')
end

local function report(element, _, message, trace)
  print(('FAILED %s\n  %s'):format(full_name(element), (tostring(message):gsub('\n', '\n  '))))
  if trace and trace.traceback then print((trace.traceback:gsub('\n', '\n  '))) end
  return nil, true
end

busted.subscribe({ 'test', 'end' }, function(_, _, status)
  count[status] = count[status] + 1
  return nil, true
end)
busted.subscribe({ 'failure' }, report)
busted.subscribe({ 'error' }, function(element, ...)
  -- Outside a test nobody else counts it: a file that does not load, a setup that raises.
  if element.descriptor ~= 'it' then count.error = count.error + 1 end
  return report(element, ...)
end)

require 'busted.luajit'()
require 'busted.modules.test_file_loader'(busted, { 'lua' })({ file }, { '' }, { excludes = {} })
require 'busted.execute'(busted)(1, { sort = false })

local failed = count.failure + count.error
print(('specs: %d passed, %d failed, %d pending'):format(count.success, failed, count.pending))
io.stdout:flush()
if failed > 0 or count.success + count.pending == 0 then os.exit(1) end

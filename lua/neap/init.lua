--- Neap: concurrent programs and dataflow graphs. `local neap = require 'neap'`.
--- Every name here is documented in docs/reference.md; modules are loaded when first used, so that
--- `require 'neap'` stays cheap.
local args = require 'neap.args'
local native = require 'neap.ffi'
local C, W = native.C, native.W

local neap = { null = require('neap.codec').null, codec = require 'neap.codec' }

-- Public name -> { module, name there }.
local NAMES = {
  run = { 'scope', 'run' }, scope = { 'scope', 'scope' }, defer = { 'scope', 'defer' },
  shield = { 'scope', 'shield' }, with_timeout = { 'scope', 'with_timeout' },
  with_deadline = { 'scope', 'with_deadline' }, with_context = { 'scope', 'with_context' },
  go = { 'task', 'go' }, spawn = { 'task', 'spawn' },
  sleep = { 'time', 'sleep' }, yield = { 'time', 'yield' }, self = { 'time', 'self' },
  channel = { 'channel', 'new' }, select = { 'select', 'select' }, never = { 'select', 'never' },
  context = { 'context', 'current' }, background = { 'context', 'background' },
  group = { 'group', 'new' }, atomic = { 'sync.atomic', 'new' },
  configure = { 'engine', 'configure' }, workers = { 'engine', 'workers' },
  close = { 'engine', 'close' }, tick = { 'scheduler', 'tick' },
  wake_fd = { 'embed.host', 'wake_fd' },
  tasks = { 'watch.tasks', 'tasks' }, stats = { 'watch.stats', 'stats' },
  test = { 'test' },
  flow = { 'flow' }, range = { 'flow', 'range' }, list = { 'flow', 'list' },
  iter = { 'flow', 'iter' }, files = { 'flow', 'files' }, lines = { 'flow', 'lines' },
}

--- Monotonic seconds; virtual inside a test bubble.
function neap.now() return C.npl_now(W) end

local known = {}
for name in pairs(NAMES) do known[name] = true end

local function missing(name)
  local stand_in = {}
  for key in pairs(known) do stand_in[key] = true end
  for key in pairs(neap) do stand_in[key] = true end
  return args.strict(stand_in, 'neap', '')[name]
end

setmetatable(neap, {
  __index = function(_, name)
    local entry = NAMES[name]
    if not entry then return missing(name) end
    local module = require('neap.' .. entry[1])
    local found = module
    if entry[2] then found = module[entry[2]] end
    neap[name] = found
    return found
  end,
  __name = 'neap',
})

--- For the modules that add names (dataflow): name -> { module, name there }.
function neap.provide(names)
  for name, entry in pairs(names) do
    NAMES[name] = entry
    known[name] = true
  end
end

--- Where each public name lives; `scripts/tools/reference` writes docs/reference.md from it.
neap.names = NAMES

return neap

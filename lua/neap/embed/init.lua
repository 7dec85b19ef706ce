--- For scripts inside a host: channels that the host knows by name.
local args = require 'neap.args'
local errors = require 'neap.errors'
local native = require 'neap.ffi'
local value = require 'neap.value'
local C, W = native.C, native.W

local embed = {}

local NAME_MAX, CAPACITY_MAX = 63, 2 ^ 30

--- The engine's channel `name`; whoever asks first, host or script, makes it.
--- @param name string up to 63 bytes
--- @param capacity? integer items, if it is made here; 0 by default
--- @return neap.Channel
function embed.channel(name, capacity)
  args.string(name, 'name')
  args.integer(capacity or 0, 'capacity', 0, CAPACITY_MAX)
  if #name == 0 or #name > NAME_MAX then args.fail(name, 'name', 'a name of 1 to 63 bytes') end
  local code = C.npl_named_channel(W, name, capacity or 0)
  if code == native.LIMIT then errors.raise(errors.limit 'an engine has 1024 named channels') end
  if code ~= native.OK then errors.raise(errors.memory 'a channel') end
  local channel = value.take()
  channel.name = channel.name or name
  return channel
end

return embed

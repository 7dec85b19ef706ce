--- Promotion: a channel that one worker used goes to another. All or nothing: everything in it is
--- encoded before it is marked shared.
local ffi = require 'ffi'
local errors = require 'neap.errors'
local native = require 'neap.ffi'
local value = require 'neap.value'
local C, W, V = native.C, native.W, native.V

local slot_list = ffi.typeof 'uint32_t[?]'

local function encode_slots(self, slots, count)
  for index = 0, count - 1 do
    local ok, e = pcall(value.put, V[slots[index]])
    if not ok then
      C.npl_promote_abandon(W)
      if errors.is(e, 'unsendable') then
        local name = self.name and 'channel ' .. self.name or 'channel'
        e.message = ('%s holds a value that cannot travel: %s'):format(name, e.message)
      end
      return error(e, 0)
    end
    C.npl_promote_add(W)
  end
end

--- @param self neap.Channel
local function promote(self)
  if C.npl_channel_is_shared(self.h) then return end
  local count = C.npl_channel_slots(self.h, nil, 0)
  local slots = slot_list(count + 1)
  C.npl_channel_slots(self.h, slots, count)
  if not C.npl_promote_begin(W, count) then return errors.raise(errors.memory 'a message') end
  encode_slots(self, slots, count)
  C.npl_channel_promote(W, self.h)
  for index = 0, count - 1 do V[slots[index]] = false end
end

return promote

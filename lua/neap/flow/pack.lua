--- Between Lua tables and the chunks that C moves: numbers and bytes as columns, anything else in
--- one encoding.
local codec = require 'neap.codec'
local errors = require 'neap.errors'
local ffi = require 'ffi'
local native = require 'neap.ffi'
local value = require 'neap.value'
local C, W = native.C, native.W
local type = type

local NUMBERS, BYTES, ANY = 1, 2, 6
local MOST_ANY = 512 -- An encoding larger than the caches costs more than the hand-over.

local pack = {}

local function no_memory() return errors.raise(errors.memory 'chunk') end

local function fill_numbers(column, items, count)
  for index = 1, count do
    local v = items[index]
    if type(v) ~= 'number' then return false end
    column[index - 1] = v
  end
  return true
end

local function numbers(turn, items, count)
  local chunk = C.npl_chunk_new(turn, NUMBERS, count)
  if chunk == nil then return no_memory() end
  if fill_numbers(C.npl_chunk_numbers(chunk), items, count) then
    C.npl_chunk_set_count(chunk, count)
    return chunk
  end
  C.npl_chunk_free(chunk)
  return nil
end

local function fill_bytes(chunk, items, count)
  for index = 1, count do
    local v = items[index]
    if type(v) ~= 'string' then return false end
    local status = C.npl_chunk_append(chunk, v, #v)
    if status ~= 0 then return status end
  end
  return true
end

local function bytes(turn, items, count)
  local chunk = C.npl_chunk_new(turn, BYTES, count)
  if chunk == nil then return no_memory() end
  local filled = fill_bytes(chunk, items, count)
  if filled == true then return chunk end
  C.npl_chunk_free(chunk)
  if filled == native.NOMEM then return no_memory() end
  return nil -- Mixed, or more than a chunk of bytes can hold.
end

local function any(turn, items, from, count)
  local list = {}
  for index = 1, count do list[index] = items[from + index - 1] end
  value.put(list)
  local chunk = C.npl_chunk_new(turn, ANY, count)
  if chunk == nil then return no_memory() end
  C.npl_chunk_set_any(W, chunk, count)
  return chunk
end

--- A chunk of items[from..last], or the first part of them. Raises `unsendable` for what cannot
--- travel.
--- @return cdata chunk np_chunk *, the caller's
--- @return integer next where the next chunk begins
function pack.pack(turn, items, from, last)
  local kind, chunk = type(items[from]), nil
  if from == 1 then
    if kind == 'number' then
      chunk = numbers(turn, items, last)
    elseif kind == 'string' then
      chunk = bytes(turn, items, last)
    end
    if chunk then return chunk, last + 1 end
  end
  local count = math.min(last - from + 1, MOST_ANY)
  return any(turn, items, from, count), from + count
end

--- Strings items[0..count-1] of a bytes chunk.
function pack.strings(items, turn)
  local base, starts, lengths = turn.base, turn.starts, turn.lengths
  for index = 0, turn.count - 1 do
    items[index] = ffi.string(base + starts[index], lengths[index])
  end
  return items
end

--- Pairs items[0..count-1].
function pack.pairs(items, turn)
  local base, starts, lengths, column = turn.base, turn.starts, turn.lengths, turn.numbers
  for index = 0, turn.count - 1 do
    items[index] = { ffi.string(base + starts[index], lengths[index]), column[index] }
  end
  return items
end

--- The list of an any chunk.
function pack.any(turn, step)
  C.npl_segment_any(W, turn, step)
  if C.npl_received_handles(W) > 0 then return value.take() end
  C.npl_received_drop(W)
  return codec.decode(turn.bytes, tonumber(turn.length)) -- The chunk keeps the bytes.
end

return pack

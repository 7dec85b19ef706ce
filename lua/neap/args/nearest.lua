--- The right word nearest to a mistyped one: for options, methods, kinds.
local nearest = {}

local MAX_LENGTH = 40

-- Edit distance in which two swapped neighbours count once; `limit` or more ends the search early.
local function distance(a, b, limit)
  local before, above = nil, {}
  for j = 0, #b do above[j] = j end
  for i = 1, #a do
    local row = { [0] = i }
    local least = i
    for j = 1, #b do
      local same = a:byte(i) == b:byte(j)
      local cost = math.min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (same and 0 or 1))
      if before and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j) then
        cost = math.min(cost, before[j - 2] + 1)
      end
      row[j] = cost
      if cost < least then least = cost end
    end
    if least >= limit then return limit end
    before, above = above, row
  end
  return above[#b]
end

-- `fanOut`, `fan-out`, `fanout` and `fan_out` are one word with different spellings.
local function plain(word)
  return (word:lower():gsub('[^%w]', ''))
end

--- The names of a table that users may type, sorted: no `__index` and the like.
function nearest.keys(map)
  local list = {}
  for name in pairs(map) do
    if type(name) == 'string' and name:sub(1, 1) ~= '_' then list[#list + 1] = name end
  end
  table.sort(list)
  return list
end

-- What other libraries call it.
local MEANT = {
  receive = 'recv', get = 'recv', take = 'recv', pop = 'recv', put = 'send', push = 'send',
  length = 'len', size = 'len', count = 'len', cap = 'capacity', await = 'join', result = 'join',
  abort = 'cancel', kill = 'cancel', increment = 'add', decrement = 'sub', set = 'store',
}
local LONG = 6 -- Shorter words are near to too many others.

local function other_name(word, list)
  local meant = {}
  for _, candidate in ipairs(list) do meant[candidate] = true end
  for name, right in pairs(MEANT) do
    if meant[right] and (name == word or #name >= LONG and distance(word, name, 3) < 3) then
      return right
    end
  end
end

--- @param word string as it was typed
--- @param list string[] the right ones; the first of equally near ones wins
--- @return string|nil nearest nil when nothing is near enough to be meant
function nearest.find(word, list)
  if #word > MAX_LENGTH then return nil end
  local bare = plain(word)
  local best, best_cost = nil, math.floor(math.max(#bare, 3) / 3) + 1
  for _, candidate in ipairs(list) do
    local cost = distance(bare, plain(candidate), best_cost)
    if cost < best_cost then best, best_cost = candidate, cost end
  end
  return best or other_name(bare, list)
end

--- "; nearest: 'timeout'", or an empty string.
--- @param quote? string the quotation mark, ' by default
function nearest.hint(word, list, quote)
  local near = nearest.find(word, list)
  if near == nil then return '' end
  quote = quote or "'"
  return ('; nearest: %s%s%s'):format(quote, near, quote)
end

return nearest

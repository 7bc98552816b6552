-- Events of a category, of types, or of both, by the index that each kind (type and category) has.
-- KEYS: log, meta, marks, kinds. ARGV: prefix, known epoch, seen sequence, category ('' for all), after ('' for that
--   end), direction, limit, number of bytes after which it ends early, type …
-- Returns { epoch, sequence, how far it has looked, 1 if there is more, sequence, h, e, … }
local log, meta, marks, kinds = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local prefix, category, backwards = ARGV[1], ARGV[4], ARGV[6] == 'backwards'
local limit, maxBytes = tonumber(ARGV[7]), tonumber(ARGV[8])
local state, refusal = history(meta, ARGV[2], ARGV[3])
if refusal then return refusal end
local after = tonumber(ARGV[5]) or (backwards and state.sequence + 1 or 0)

local types = #ARGV > 8 and {} or nil
for index = 9, #ARGV do types[ARGV[index]] = true end
local wanted = {}
for _, kind in ipairs(call('SMEMBERS', kinds)) do
  local type, of = match(kind, '^(%S+) (.*)$')
  if (category == '' or of == category) and (not types or types[type]) then wanted[#wanted + 1] = kind end
end

-- How many elements of an ascending list are below `bound`.
local function below(key, bound)
  local low, high = 0, call('LLEN', key)
  while low < high do
    local middle = floor((low + high) / 2)
    if tonumber(call('LINDEX', key, middle)) < bound then low = middle + 1 else high = middle end
  end
  return low
end

local found = {}
-- Adds the nearest `share` sequences of a kind; false when it has no more than that.
local function gather(kind, share)
  local chunks, left = prefix .. 'c:' .. kind, share
  local edge = text(floor((backwards and after - 1 or after + 1) / chunkSize))
  while left > 0 do
    local chunk
    if backwards then
      chunk = call('ZREVRANGEBYSCORE', chunks, edge, '-inf', 'LIMIT', 0, 1)[1]
    else
      chunk = call('ZRANGEBYSCORE', chunks, edge, '+inf', 'LIMIT', 0, 1)[1]
    end
    if not chunk then return false end
    local key, some = prefix .. 'k:' .. chunk .. ':' .. kind, nil
    if backwards then
      local stop = below(key, after) - 1
      some = stop < 0 and {} or call('LRANGE', key, max(0, stop - left + 1), stop)
    else
      local start = below(key, after + 1)
      some = call('LRANGE', key, start, start + left - 1)
    end
    for _, place in ipairs(some) do found[#found + 1] = tonumber(place) end
    left = left - #some
    edge = '(' .. chunk
  end
  return true
end

-- The nearest of every kind hold the nearest of all, so this many of each are enough for as many in all.
local share, full = min(limit, max(16, floor(2048 / max(1, #wanted)))), false
for _, kind in ipairs(wanted) do
  if gather(kind, share) then full = true end
end
table.sort(found, backwards and function(one, two) return one > two end or nil)

local result, hidden, at, bytes = { state.epoch, state.sequence, 0, 0 }, {}, 4, 0
local taken = min(share, #found)
for index = 1, taken do
  local place = text(found[index])
  local header, body = entry(log, place)
  if not header then return missing(place) end
  local revision, stream = match(header, '^(%d+) %d+ %d+ %S+ %S+ (.*)$')
  if not hidden[stream] then hidden[stream] = mark(call('HGET', marks, stream)) end
  if tonumber(revision) >= hidden[stream] then
    result[at + 1], result[at + 2], result[at + 3] = place, header, body
    at = at + 3
    bytes = bytes + #body
    if bytes >= maxBytes then
      taken = index
      break
    end
  end
end

if full or taken < #found then
  result[3], result[4] = found[taken], 1
elseif backwards then
  result[3] = found[#found] or min(after, state.sequence)
else
  result[3] = max(after, state.sequence)
end
if not backwards and result[3] >= state.sequence then result[4] = 0 end
return result

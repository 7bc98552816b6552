-- Events of a category, of types, or of both, by the index that each kind (type and category) has.
-- KEYS: log, meta, marks, kinds. ARGV: prefix, known epoch, seen sequence, category ('' for all), after ('' for that
--   end), direction, limit, greatest number of bytes (exceeded by at most one event), type …
-- Returns { epoch, sequence, how far it has looked, 1 if there is more, sequence, h, e, … }
local log, meta, marks, kinds = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local category, after, backwards = ARGV[4], ARGV[5], ARGV[6] == 'backwards'
local limit, maxBytes = tonumber(ARGV[7]), tonumber(ARGV[8])
local state, refusal = history(meta, ARGV[2], ARGV[3])
if refusal then return refusal end

local types = #ARGV > 8 and {} or nil
for index = 9, #ARGV do types[ARGV[index]] = true end
local wanted = {}
for _, kind in ipairs(call('SMEMBERS', kinds)) do
  local type, of = string.match(kind, '^(%S+) (.*)$')
  if (category == '' or of == category) and (not types or types[type]) then wanted[#wanted + 1] = kind end
end

-- The nearest of every kind hold the nearest of all, so this many of each are enough for as many in all.
local share = math.min(limit, math.max(16, math.floor(2048 / math.max(1, #wanted))))
local found, full = {}, false
for _, kind in ipairs(wanted) do
  local key, some = ARGV[1] .. 'k:' .. kind, nil
  if backwards then
    some = call('XREVRANGE', key, after == '' and '+' or '(' .. after .. '-0', '-', 'COUNT', share)
  else
    some = call('XRANGE', key, after == '' and '-' or '(' .. after .. '-0', '+', 'COUNT', share)
  end
  if #some == share then full = true end
  for _, item in ipairs(some) do found[#found + 1] = tonumber(string.match(item[1], '^%d+')) end
end
if backwards then
  table.sort(found, function(one, two) return one > two end)
else
  table.sort(found)
end

local result, hidden, at, bytes = { state.epoch, state.sequence, 0, 0 }, {}, 4, 0
local taken = math.min(share, #found)
for index = 1, taken do
  local header, body = entry(log, found[index])
  if not header then return redis.error_reply('NEXUSCORRUPT entry ' .. found[index] .. ' of the log is missing') end
  local revision, stream = string.match(header, '^(%d+) %d+ %S+ %S+ (.*)$')
  if not hidden[stream] then hidden[stream] = mark(call('HGET', marks, stream)) end
  if tonumber(revision) >= hidden[stream] then
    result[at + 1], result[at + 2], result[at + 3] = found[index], header, body
    at = at + 3
    bytes = bytes + #body
    if bytes >= maxBytes then
      taken = index
      break
    end
  end
end

local start = tonumber(after) or (backwards and state.sequence + 1 or 0)
if full or taken < #found then
  result[3], result[4] = found[taken], 1
elseif backwards then
  result[3] = math.min(start, state.sequence)
  if #found > 0 then result[3] = found[#found] end
else
  result[3] = math.max(start, state.sequence)
end
if not backwards and result[3] >= state.sequence then result[4] = 0 end
return result

-- KEYS: log, meta, heads, marks. ARGV: prefix, known epoch, seen sequence, stream, from ('' for that end), direction,
--   limit (0: only the head), number of bytes after which it ends early
-- Returns { epoch, sequence, head (-1: none), first visible revision, 1 if it ended early, sequence, h, e, … }
local log, meta, heads, marks = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local stream, direction, limit, maxBytes = ARGV[4], ARGV[6], tonumber(ARGV[7]), tonumber(ARGV[8])
local state, refusal = history(meta, ARGV[2], ARGV[3])
if refusal then return refusal end
local known = call('HGET', heads, stream)
if not known then return { state.epoch, state.sequence, -1, 0, 0 } end
local head, newest = pair(known)
local before, base = mark(call('HGET', marks, stream))
local result, at, bytes = { state.epoch, state.sequence, head, before, 0 }, 5, 0
if limit == 0 then return result end

local from, low, high = tonumber(ARGV[5]), nil, nil
if direction == 'backwards' then
  high = min(from or head, head)
  low = max(before, high - limit + 1)
else
  low = max(from or before, before)
  high = min(head, low + limit - 1)
end
if low > high then return result end

-- Events of `first` … `last`, newest first, as { sequence, h, e } in a flat list.
local function walk(first, last)
  local revision, place = anchor(ARGV[1] .. 's:' .. stream, base, head, newest, last)
  local list, size = {}, 0
  while revision >= first do
    local header, body = entry(log, place)
    if not header then return nil, place end
    if revision <= last then
      list[size + 1], list[size + 2], list[size + 3] = place, header, body
      size = size + 3
      bytes = bytes + #body
      if direction == 'backwards' and bytes >= maxBytes then break end
    end
    revision, place = revision - 1, previous(header)
  end
  return list
end

if direction == 'backwards' then
  local list, lost = walk(low, high)
  if not list then return missing(lost) end
  for index = 1, #list do result[at + index] = list[index] end
  if #list / 3 < high - low + 1 then result[5] = 1 end
else
  while low <= high do
    local last = min(high, max(1, ceil(low / anchorEvery)) * anchorEvery)
    local list, lost = walk(low, last)
    if not list then return missing(lost) end
    for index = #list - 2, 1, -3 do
      result[at + 1], result[at + 2], result[at + 3] = list[index], list[index + 1], list[index + 2]
      at = at + 3
    end
    low = last + 1
    if bytes >= maxBytes and low <= high then
      result[5] = 1
      break
    end
  end
end
return result

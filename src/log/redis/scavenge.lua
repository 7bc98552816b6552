-- Removes truncated events of one stream, at most as many as given, from the log and from each index.
-- KEYS: log, meta, heads, marks, kinds, pending. ARGV: prefix, known epoch, seen sequence, greatest number of events
-- Returns { epoch, sequence, events, bytes, streams that are left }
local log, meta, heads, marks, kinds, pending = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local prefix = ARGV[1]
local state, refusal = history(meta, ARGV[2], ARGV[3])
if refusal then return refusal end
local stream = call('SRANDMEMBER', pending)
if not stream then return { state.epoch, state.sequence, 0, 0, 0 } end

local before, base = mark(call('HGET', marks, stream))
local stop, list = min(before, base + tonumber(ARGV[4])), prefix .. 's:' .. stream
local head, newest = pair(call('HGET', heads, stream))
local events, bytes, ids, ofKind = 0, 0, {}, {}
if stop > base then
  local category = match(stream, '^[^-]*')
  local revision, place = anchor(list, base, head, newest, stop - 1)
  while revision >= base do
    local header, body = entry(log, place)
    if not header then return missing(place) end
    if revision < stop then
      events = events + 1
      bytes = bytes + #header + #body
      ids[events] = place .. '-0'
      local kind = match(header, '^%d+ %d+ %d+ %S+ (%S+) ') .. ' ' .. category
      ofKind[events] = { chunkKey(prefix, tonumber(place), kind), place, kind }
    end
    revision, place = revision - 1, previous(header)
  end
  -- Removing first: a script whose first write needs no memory is let through by a server that has none left.
  call('XDEL', log, unpack(ids))
  for _, item in ipairs(ofKind) do
    local key, kind = item[1], item[3]
    call('LREM', key, 1, item[2])
    if call('EXISTS', key) == 0 then
      call('ZREM', prefix .. 'c:' .. kind, text(floor(tonumber(item[2]) / chunkSize)))
      if call('EXISTS', prefix .. 'c:' .. kind) == 0 then call('SREM', kinds, kind) end
    end
  end
  local passed = max(1, ceil(stop / anchorEvery)) - max(1, ceil(base / anchorEvery))
  if passed > 0 then call('LTRIM', list, passed, -1) end
  call('HSET', marks, stream, text(before) .. ' ' .. text(stop))
end
if stop >= before then call('SREM', pending, stream) end
return { state.epoch, state.sequence, events, bytes, call('SCARD', pending) }

-- Removes truncated events of one stream, at most as many as given, from the log and from each index.
-- KEYS: log, meta, marks, pending. ARGV: prefix, known epoch, seen sequence, greatest number of events
-- Returns { epoch, sequence, events, bytes, streams that are left }
local log, meta, marks, pending = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local state, refusal = history(meta, ARGV[2], ARGV[3])
if refusal then return refusal end
local stream = call('SRANDMEMBER', pending)
if not stream then return { state.epoch, state.sequence, 0, 0, 0 } end

local list = ARGV[1] .. 's:' .. stream
local before, base = mark(call('HGET', marks, stream))
local count = math.min(before - base, tonumber(ARGV[4]))
local bytes, ids, ofKind = 0, {}, {}
if count > 0 then
  for index, place in ipairs(call('LRANGE', list, 0, count - 1)) do
    ids[index] = place .. '-0'
    local header, body = entry(log, place)
    if header then
      bytes = bytes + #header + #body
      local kind = string.match(header, '^%d+ %d+ %S+ (%S+) ') .. ' ' .. string.match(stream, '^[^-]*')
      ofKind[kind] = ofKind[kind] or {}
      table.insert(ofKind[kind], ids[index])
    end
  end
  -- Removing first: a script whose first write needs no memory is let through by a server that has none left.
  call('XDEL', log, unpack(ids))
  for kind, some in pairs(ofKind) do call('XDEL', ARGV[1] .. 'k:' .. kind, unpack(some)) end
  call('LTRIM', list, count, -1)
  call('HSET', marks, stream, before .. ' ' .. (base + count))
end
if base + count >= before then call('SREM', pending, stream) end
return { state.epoch, state.sequence, count, bytes, call('SCARD', pending) }

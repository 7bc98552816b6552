-- Hides the events of a stream before a revision; the newest stays. Leaves their space to the scavenger.
-- KEYS: meta, heads, marks, pending. ARGV: prefix, known epoch, seen sequence, stream, before
-- Returns { epoch, sequence }
local meta, heads, marks, pending, stream = KEYS[1], KEYS[2], KEYS[3], KEYS[4], ARGV[4]
local state, refusal = history(meta, ARGV[2], ARGV[3])
if refusal then return refusal end
local known = call('HGET', heads, stream)
if known then
  local old, base = mark(call('HGET', marks, stream))
  local head = pair(known)
  local before = min(tonumber(ARGV[5]), head)
  if before > old then
    -- A server out of memory refuses a script at its first write only, and only if that could need memory:
    -- truncating is how memory is made free, so the first write is one that cannot.
    call('SREM', pending, '')
    call('HSET', marks, stream, text(before) .. ' ' .. text(base))
    call('SADD', pending, stream)
  end
end
return { state.epoch, state.sequence }

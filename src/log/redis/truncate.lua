-- Hides the events of a stream before a revision; the newest stays. Leaves their space to the scavenger.
-- KEYS: meta, marks, pending. ARGV: prefix, known epoch, seen sequence, stream, before
-- Returns { epoch, sequence }
local meta, marks, pending, stream = KEYS[1], KEYS[2], KEYS[3], ARGV[4]
local state, refusal = history(meta, ARGV[2], ARGV[3])
if refusal then return refusal end
local length = call('LLEN', ARGV[1] .. 's:' .. stream)
local old, base = mark(call('HGET', marks, stream))
local before = math.min(tonumber(ARGV[5]), base + length - 1)
if length > 0 and before > old then
  -- A server out of memory refuses a script only at its first write, and only if that could need memory:
  -- truncating is how memory is made free, so the first write is one that cannot.
  call('SREM', pending, '')
  call('HSET', marks, stream, before .. ' ' .. base)
  call('SADD', pending, stream)
end
return { state.epoch, state.sequence }

-- KEYS: log, meta, marks. ARGV: prefix, known epoch, seen sequence, stream, from ('' for that end), direction,
--   limit (0: only the head), greatest number of bytes (exceeded by at most one event)
-- Returns { epoch, sequence, head (-1: none), first visible revision, 1 if there is more, sequence, h, e, … }
local log, meta, marks = KEYS[1], KEYS[2], KEYS[3]
local stream, direction, limit, maxBytes = ARGV[4], ARGV[6], tonumber(ARGV[7]), tonumber(ARGV[8])
local state, refusal = history(meta, ARGV[2], ARGV[3])
if refusal then return refusal end
local list = ARGV[1] .. 's:' .. stream
local before, base = mark(call('HGET', marks, stream))
local head = base + call('LLEN', list) - 1
local result = { state.epoch, state.sequence, head, before, 0 }
if head < 0 or limit == 0 then return result end

local from = tonumber(ARGV[5])
local low, high, step
if direction == 'backwards' then
  high = math.min(from or head, head)
  low = math.max(before, high - limit + 1)
  step = -1
else
  low = math.max(from or before, before)
  high = math.min(head, low + limit - 1)
  step = 1
end
if low > high then return result end

local places = call('LRANGE', list, low - base, high - base)
local first, last = 1, #places
if step < 0 then first, last = last, first end
local bytes, at = 0, 5
for index = first, last, step do
  local header, body = entry(log, places[index])
  if not header then return redis.error_reply('NEXUSCORRUPT entry ' .. places[index] .. ' of the log is missing') end
  result[at + 1], result[at + 2], result[at + 3] = places[index], header, body
  at = at + 3
  bytes = bytes + #body
  if bytes >= maxBytes and index ~= last then
    result[5] = 1
    break
  end
end
return result

-- Stands in front of every script of this folder. What is kept (docs/adr/0004-redis-log.md):
--   log         stream, id `{sequence}-0`, h = `{revision} {ms} {previous sequence of the stream} {id} {type} {stream}`,
--               e = JSON of data and metadata
--   heads       hash: stream → `{revision} {sequence}` of its newest event
--   s:{stream}  list: sequence of every 16th revision (16, 32, …) from the stream's base on
--   marks       hash: stream → `{before} {base}`: first visible revision, first revision that was not removed
--   kinds       set of `{type} {category}`; k:{chunk}:{kind} list of sequences; c:{kind} sorted set of its chunks
--   ids:{day}   hash: event id → `{revision} {sequence}`
local call = redis.call
local format, match, sub, floor, ceil, max, min =
  string.format, string.match, string.sub, math.floor, math.ceil, math.max, math.min

local anchorEvery, chunkSize = 16, 4096

-- Lua writes large numbers with an exponent, and small ones slowly.
local function text(number) return format('%d', number) end

-- The state of the history on this server, or an error to return when it is not the one that the caller knows:
-- a server that was emptied, replaced, or came back without what it had acknowledged must not go on in silence.
local function history(meta, known, seen)
  local state = call('HMGET', meta, 'epoch', 'sequence', 'ms', 'day')
  local epoch, sequence = state[1] or '', tonumber(state[2] or '0')
  if known ~= '' and epoch ~= known then
    return nil, redis.error_reply('NEXUSHISTORY ' .. (epoch == '' and 'emptied' or 'other'))
  end
  if sequence < tonumber(seen) then
    return nil, redis.error_reply('NEXUSHISTORY behind ' .. text(sequence))
  end
  return { epoch = epoch, sequence = sequence, ms = tonumber(state[3] or '0'), day = tonumber(state[4] or '0') }
end

-- The two numbers of a mark, a head or a place; the second one as it is written.
local function pair(value)
  local first, second = match(value, '^(%d+) (%d+)$')
  return tonumber(first), second
end

local function mark(value)
  if not value then return 0, 0 end
  local before, base = pair(value)
  return before, tonumber(base)
end

-- Header and body of one entry of the log, or nil when it was removed.
local function entry(log, sequence)
  local id = sequence .. '-0'
  local found = call('XRANGE', log, id, id)[1]
  if not found then return nil end
  return found[2][2], found[2][4]
end

local function missing(sequence)
  return redis.error_reply('NEXUSCORRUPT entry ' .. sequence .. ' of the log is missing')
end

local function previous(header) return match(header, '^%d+ %d+ (%d+)') end

-- The nearest revision at or behind `revision` whose sequence is known without a walk, and that sequence.
local function anchor(list, base, head, newest, revision)
  local index = max(1, ceil(revision / anchorEvery))
  if index * anchorEvery >= head then return head, newest end
  local place = call('LINDEX', list, index - max(1, ceil(base / anchorEvery)))
  return index * anchorEvery, place
end

local function chunkKey(prefix, sequence, kind)
  return prefix .. 'k:' .. text(floor(sequence / chunkSize)) .. ':' .. kind
end


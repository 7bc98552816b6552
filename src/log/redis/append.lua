-- Runs many appends, each by itself all or nothing, in one step; a conflict of one does not touch the others.
-- KEYS: log, meta, marks, kinds
-- ARGV: prefix, known epoch, seen sequence, epoch of a new history, number of appends, then per append:
--   stream, expected, number of events, then per event: `{id} {type} {stream}`, `{type} {category}`, body
-- Returns { epoch, sequence, result … }: {0, revision, sequence} written, {1, revision, sequence, …} duplicate,
--   {2, head} conflict, {3} some ids known and some not.
-- Everything that can fail for the state of the server fails at or before the first write, so that a refusal is whole.
local log, meta, marks, kinds = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local prefix = ARGV[1]
local state, refusal = history(meta, ARGV[2], ARGV[3])
if refusal then return refusal end
local sequence = state.sequence
local time = call('TIME')
local ms = math.max(state.ms, time[1] * 1000 + math.floor(time[2] / 1000))
local day = math.floor(ms / 86400000)

local starts, streams, lookups, heads, bases = {}, {}, {}, {}, {}
local at = 6
for index = 1, tonumber(ARGV[5]) do
  local stream, expected, count = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2])
  starts[index] = at
  if not heads[stream] then
    heads[stream] = -1
    streams[#streams + 1] = stream
  end
  if expected == 'any' or expected == 'exists' then
    for event = 0, count - 1 do
      lookups[#lookups + 1] = string.sub(ARGV[at + 3 + event * 3], 1, 36)
    end
  end
  at = at + 3 + count * 3
end

local marked = call('HMGET', marks, unpack(streams))
for index, stream in ipairs(streams) do
  local _, base = mark(marked[index])
  bases[stream] = base
  heads[stream] = base + call('LLEN', prefix .. 's:' .. stream) - 1
end

local places = {}
if #lookups > 0 then
  for back = 1, 0, -1 do
    local found = call('HMGET', prefix .. 'ids:' .. (day - back), unpack(lookups))
    for index, id in ipairs(lookups) do
      if found[index] then places[id] = found[index] end
    end
  end
end

-- Where `id` stands in `stream`: revision and sequence, or nil. The same id in another stream is another event.
local function placeOf(id, stream)
  if not places[id] then return nil end
  local revision, place = string.match(places[id], '^(%d+) (%d+)$')
  local header = entry(log, place)
  if header and string.match(header, '^%d+ %d+ %S+ %S+ (.*)$') ~= stream then return nil end
  return tonumber(revision), tonumber(place)
end

-- The same for an append that named a revision: its ids can only stand right behind that.
local function placeAt(id, stream, revision)
  local place = call('LINDEX', prefix .. 's:' .. stream, revision - bases[stream])
  local header = place and revision >= bases[stream] and entry(log, place)
  if not header or string.match(header, '^%d+ %d+ (%S+)') ~= id then return nil end
  return revision, tonumber(place)
end

-- The answer for an append that is not to be written, or nil.
local function known(stream, expected, first, count)
  local head = heads[stream]
  local loose = expected == 'any' or expected == 'exists'
  local behind = loose and head or (expected == 'none' and -1 or tonumber(expected))
  local result, found = { 1 }, 0
  if loose or behind < head then
    for event = 0, count - 1 do
      local id = string.sub(ARGV[first + event * 3], 1, 36)
      local revision, place
      if loose then
        revision, place = placeOf(id, stream)
      else
        revision, place = placeAt(id, stream, behind + 1 + event)
        if not revision and event == 0 then break end
      end
      if revision then
        found = found + 1
        result[#result + 1] = revision
        result[#result + 1] = place
      end
    end
  end
  if found == count then return result end
  if found > 0 then return { 3 } end
  if behind ~= head or (expected == 'exists' and head < 0) then return { 2, head } end
  return nil
end

local results, remembered, seenKinds, kindList = { state.epoch, sequence }, {}, {}, {}
for index, start in ipairs(starts) do
  local stream, count = ARGV[start], tonumber(ARGV[start + 2])
  local answer = known(stream, ARGV[start + 1], start + 3, count)
  if not answer then
    local revision, places_ = heads[stream], {}
    answer = { 0, revision + 1, sequence + 1 }
    for event = 1, count do
      local label = ARGV[start + event * 3]
      local kind = ARGV[start + event * 3 + 1]
      sequence = sequence + 1
      revision = revision + 1
      local id = sequence .. '-0'
      call('XADD', log, id, 'h', revision .. ' ' .. ms .. ' ' .. label, 'e', ARGV[start + event * 3 + 2])
      if not seenKinds[kind] then
        seenKinds[kind] = prefix .. 'k:' .. kind
        kindList[#kindList + 1] = kind
      end
      call('XADD', seenKinds[kind], id, '', '')
      places_[event] = sequence
      local uuid, place = string.sub(label, 1, 36), revision .. ' ' .. sequence
      places[uuid] = place
      remembered[#remembered + 1] = uuid
      remembered[#remembered + 1] = place
    end
    call('RPUSH', prefix .. 's:' .. stream, unpack(places_))
    heads[stream] = revision
  end
  results[index + 2] = answer
end

if #remembered > 0 then
  local ids = prefix .. 'ids:' .. day
  if state.epoch == '' then state.epoch = ARGV[4] end
  call('HSET', ids, unpack(remembered))
  -- Looked for today and tomorrow: a duplicate is known for 24 to 48 hours.
  if day ~= state.day then call('EXPIRE', ids, 259200) end
  call('SADD', kinds, unpack(kindList))
  call('HSET', meta, 'epoch', state.epoch, 'sequence', sequence, 'ms', ms, 'day', day)
end
results[1], results[2] = state.epoch, sequence
return results

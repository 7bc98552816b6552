-- Runs many appends, each by itself all or nothing, in one step; a conflict of one does not touch the others. An append may
--   have several parts, of a stream each; a part without events only asserts what it expects.
-- KEYS: log, meta, heads, kinds
-- ARGV: prefix, known epoch, seen sequence, epoch of a new history; numbers of appends, streams, kinds, events, loose
--   appends (`any`, `exists`); the streams, the kinds, the events' ids; per append, or behind `0`, number of parts for each
--   part: number of its stream, expected, number of events, and per event: number of its kind, `{type} {stream}`, body
-- Returns { epoch, sequence, result … }: {0, log's end, revision, sequence, … per part} written, {1, 0, revision, sequence,
--   … per event} duplicate, {2, head, part} conflict, {3} some ids known and some not.
-- Whatever the state of the server forbids fails at or before the first write, so that a refusal is whole.
local log, meta, heads, kinds = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local prefix = ARGV[1]
local state, refusal = history(meta, ARGV[2], ARGV[3])
if refusal then return refusal end
local appends, streams, kindCount, events = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local firstKind, firstId = 9 + streams, 9 + streams + kindCount
local sequence = state.sequence
local time = call('TIME')
local ms = max(state.ms, time[1] * 1000 + floor(time[2] / 1000))
local day = floor(ms / 86400000)
local when = ' ' .. text(ms) .. ' '

local revisions, newest, touched = {}, {}, {}
local found = call('HMGET', heads, unpack(ARGV, 10, firstKind))
for index = 1, streams do
  if found[index] then
    revisions[index], newest[index] = pair(found[index])
  else
    revisions[index], newest[index] = -1, '0'
  end
end

local places = {}
if ARGV[9] ~= '0' then
  for back = 1, 0, -1 do
    local some = call('HMGET', prefix .. 'ids:' .. text(day - back), unpack(ARGV, firstId + 1, firstId + events))
    for index = 1, events do
      if some[index] then places[ARGV[firstId + index]] = some[index] end
    end
  end
end

-- Where `id` stands in `stream`: revision and sequence, or nil. The same id in another stream is another event.
local function placeOf(id, stream)
  if not places[id] then return nil end
  local revision, place = pair(places[id])
  local header = entry(log, place)
  if header and match(header, '^%d+ %d+ %d+ %S+ %S+ (.*)$') ~= stream then return nil end
  return revision, tonumber(place)
end

-- The same for an append that named a revision: its ids can only stand right behind that.
local function placeAt(id, number, revision)
  local stream = ARGV[9 + number]
  local _, base = mark(call('HGET', prefix .. 'marks', stream))
  if revision < base or revision > revisions[number] then return nil end
  local at, place = anchor(prefix .. 's:' .. stream, base, revisions[number], newest[number], revision)
  local header = entry(log, place)
  while header and at > revision do
    at, place = at - 1, previous(header)
    header = entry(log, place)
  end
  if not header or match(header, '^%d+ %d+ %d+ (%S+)') ~= id then return nil end
  return revision, tonumber(place)
end

-- What is known of a part that has events: its `result` grows by the events' places. Returns 0 when they are new, 1 when
-- they stand already, 2 for a conflict, 3 when some stand and some do not.
local function known(number, expected, id, count, result)
  local head = revisions[number]
  local loose = expected == 'any' or expected == 'exists'
  local behind = loose and head or (expected == 'none' and -1 or tonumber(expected))
  if count > 0 and (loose or behind < head) then
    local some = 0
    for event = 0, count - 1 do
      local revision, place
      if loose then
        revision, place = placeOf(ARGV[id + event], ARGV[9 + number])
      else
        revision, place = placeAt(ARGV[id + event], number, behind + 1 + event)
        if not revision and event == 0 then break end
      end
      if revision then
        some = some + 1
        result[#result + 1] = revision
        result[#result + 1] = place
      end
    end
    if some == count then return 1 end
    if some > 0 then return 3 end
  end
  if behind ~= head or (expected == 'exists' and head < 0) then return 2 end
  return 0
end

local byKind = {}
local function indexKinds()
  for number, list in pairs(byKind) do
    local kind = ARGV[firstKind + number]
    if call('RPUSH', chunkKey(prefix, sequence, kind), unpack(list)) == #list then
      local chunk = text(floor(sequence / chunkSize))
      call('ZADD', prefix .. 'c:' .. kind, chunk, chunk)
      call('SADD', kinds, kind)
    end
  end
  byKind = {}
end

local results, remembered, count = { state.epoch, sequence }, {}, 0

local function write(number, id, argument, size)
  local revision, last = revisions[number], newest[number]
  for event = 0, size - 1 do
    if (sequence + 1) % chunkSize == 0 then indexKinds() end
    sequence, revision = sequence + 1, revision + 1
    local place, uuid = text(sequence), ARGV[id + event]
    local written = text(revision)
    local header = written .. when .. last .. ' ' .. uuid .. ' ' .. ARGV[argument + 1]
    call('XADD', log, place .. '-0', 'h', header, 'e', ARGV[argument + 2])
    last = place
    if revision % anchorEvery == 0 and revision > 0 then call('RPUSH', prefix .. 's:' .. ARGV[9 + number], place) end
    local kind = tonumber(ARGV[argument])
    local list = byKind[kind]
    if list then list[#list + 1] = place else byKind[kind] = { place } end
    local both = written .. ' ' .. place
    places[uuid] = both
    remembered[count + 1], remembered[count + 2] = uuid, both
    count, argument = count + 2, argument + 3
  end
  if size > 0 then revisions[number], newest[number], touched[number] = revision, last, true end
end

local at, id = firstId + events + 1, firstId + 1
for index = 1, appends do
  local parts = 1
  if ARGV[at] == '0' then parts, at = tonumber(ARGV[at + 1]), at + 2 end
  local firstAt, firstEvent = at, id
  local duplicate, standing, new, refused = { 1, 0 }, false, false, nil
  for part = 1, parts do
    local number, size = tonumber(ARGV[at]), tonumber(ARGV[at + 2])
    local code = known(number, ARGV[at + 1], id, size, duplicate)
    if code == 1 then standing = true
    elseif code == 3 then standing, new = true, true
    elseif size > 0 then new = true end
    if code == 2 and not refused then refused = { 2, revisions[number], part } end
    at, id = at + 3 + size * 3, id + size
  end
  local answer
  if standing then answer = new and { 3 } or duplicate
  elseif refused then answer = refused
  else
    answer = { 0, 0 }
    local place, event = firstAt, firstEvent
    for part = 1, parts do
      local number, size = tonumber(ARGV[place]), tonumber(ARGV[place + 2])
      answer[#answer + 1] = revisions[number] + 1
      answer[#answer + 1] = sequence + 1
      write(number, event, place + 3, size)
      place, event = place + 3 + size * 3, event + size
    end
    answer[2] = sequence
  end
  results[index + 2] = answer
end

if count > 0 then
  local changed = {}
  for number in pairs(touched) do
    changed[#changed + 1] = ARGV[9 + number]
    changed[#changed + 1] = text(revisions[number]) .. ' ' .. newest[number]
  end
  local ids = prefix .. 'ids:' .. text(day)
  if state.epoch == '' then state.epoch = ARGV[4] end
  call('HSET', heads, unpack(changed))
  call('HSET', ids, unpack(remembered))
  -- Looked for on its day and the next: a duplicate is known for 24 to 48 hours.
  if day ~= state.day then call('EXPIRE', ids, 259200) end
  indexKinds()
  call('HSET', meta, 'epoch', state.epoch, 'sequence', text(sequence), 'ms', text(ms), 'day', text(day))
end
results[1], results[2] = state.epoch, sequence
return results

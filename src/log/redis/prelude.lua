-- Stands in front of every script of this folder.
-- Entry of the log: id `{sequence}-0`, h = `{revision} {ms} {id} {type} {stream}`, e = JSON of data and metadata.
-- Value of a mark: `{before} {base}`: first visible revision, and revision of the first element of the stream's list.
local call = redis.call

-- The state of the history on this server, or an error to return when it is not the one that the caller knows:
-- a server that was emptied, replaced, or came back without what it had acknowledged must not go on in silence.
local function history(meta, known, seen)
  local state = call('HMGET', meta, 'epoch', 'sequence', 'ms', 'day')
  local epoch, sequence = state[1] or '', tonumber(state[2] or '0')
  if known ~= '' and epoch ~= known then
    return nil, redis.error_reply('NEXUSHISTORY ' .. (epoch == '' and 'emptied' or 'other'))
  end
  if sequence < tonumber(seen) then
    return nil, redis.error_reply('NEXUSHISTORY behind ' .. sequence)
  end
  return { epoch = epoch, sequence = sequence, ms = tonumber(state[3] or '0'), day = tonumber(state[4] or '0') }
end

local function mark(text)
  if not text then return 0, 0 end
  local before, base = string.match(text, '^(%d+) (%d+)$')
  return tonumber(before), tonumber(base)
end

-- Header and body of one entry of the log, or nil when it was scavenged.
local function entry(log, sequence)
  local id = sequence .. '-0'
  local found = call('XRANGE', log, id, id)[1]
  if not found then return nil end
  return found[2][2], found[2][4]
end


-- Appends audit events; part of each script that writes one. It returns nothing, and has no KEYS and ARGV of its own.
--
-- A key of another type is foreign, and is deleted: write access to Redis must not keep a request from being ended by
-- making our writes fail.
local MOST = 2 ^ 52 -- no number of ours comes near it
local FIELDS = 4000 -- Lua hands on no more than about 8,000 words; ours have a dozen
local JUMP = 1000000 -- nor does one follow on another from so far away (see bot/store/audit_stream.py)

local function of_kind(key, kind)
  local found = redis.call('TYPE', key).ok
  if found ~= kind and found ~= 'none' then redis.call('DEL', key) end
end

-- The stream's next number may be any behind this id. Newer servers (Valkey 9) let none come before an id that was
-- removed: there the stream is written again, which holds some ten thousand entries.
local function go_on_behind(audit, id)
  local refused = redis.pcall('XSETID', audit, id).err
  -- Any other no (no memory left, a replica) is not cured by writing: the stream would be deleted, and not come back.
  if not refused or not string.find(refused, 'smaller', 1, true) then return end
  local kept, start = {}, '-'
  repeat
    local page = redis.call('XRANGE', audit, start, '+', 'COUNT', 1000)
    for _, entry in ipairs(page) do kept[#kept + 1] = entry end
    if #page > 0 then start = '(' .. page[#page][1] end
  until #page < 1000
  redis.call('DEL', audit)
  for _, entry in ipairs(kept) do
    redis.call('XADD', audit, entry[1], unpack(entry[2], 1, math.min(#entry[2], FIELDS)))
  end
end

-- The next number follows the newest entry of the stream, wherever the counter was set. An entry far beyond our numbers
-- is foreign, and deleted: behind it, no event could be written any more.
local function renumbered(audit, counter, given)
  local limit = MOST
  if given > 1 then
    local last = string.format('%.0f-0', given - 1)
    if #redis.call('XRANGE', audit, last, last) == 1 then limit = given + JUMP end
  end
  local beyond
  repeat
    beyond = redis.call('XRANGE', audit, string.format('%.0f', limit), '+', 'COUNT', 1000)
    for _, entry in ipairs(beyond) do redis.call('XDEL', audit, entry[1]) end
  until #beyond == 0
  local newest = redis.call('XREVRANGE', audit, '+', '-', 'COUNT', 1)[1]
  local top = newest and tonumber(string.match(newest[1], '^%d+')) or 0
  if redis.call('EXISTS', audit) == 1 then go_on_behind(audit, newest and newest[1] or '0-1') end
  local number = math.max(top + 1, given < limit and given or 0)
  redis.call('SET', counter, string.format('%.0f', number))
  return number
end

-- Whether a number follows on the newest event, give or take what somebody may have taken out.
local function follows(audit, number)
  if number < 1 or number >= MOST then return false end
  local newest = redis.call('XREVRANGE', audit, '+', '-', 'COUNT', 1)[1]
  return not newest or number <= tonumber(string.match(newest[1], '^%d+')) + JUMP
end

-- One event, by the stream's fields; its number, as a word.
local function append(audit, counter, ...)
  of_kind(audit, 'stream')
  of_kind(counter, 'string')
  local number = redis.pcall('INCR', counter)
  if type(number) == 'table' or not follows(audit, number) then number = renumbered(audit, counter, 0) end
  local word = string.format('%.0f', number)
  if type(redis.pcall('XADD', audit, word .. '-0', ...)) == 'table' then
    word = string.format('%.0f', renumbered(audit, counter, number))
    redis.call('XADD', audit, word .. '-0', ...)
  end
  return word
end

-- The rows of its messages: lines, in which # becomes the event's number. How many.
local function ask(outbox, rows, lines, word, version, score)
  of_kind(outbox, 'zset')
  of_kind(rows, 'hash')
  local asked = 0
  for row in string.gmatch(lines, '[^\n]+') do
    row = string.gsub(row, '#', word) -- a row of its own an event carries the event's number
    redis.call('HSET', rows, row, version)
    redis.call('ZADD', outbox, 'NX', score, row)
    asked = asked + 1
  end
  return asked
end

-- An event that Python made and signed, with its rows: id, kind, event, at, rows, MAC, from ARGV i on.
local function say(keys, i, score)
  local word = append(keys[1], keys[2], 'id', ARGV[i], 'version', '0', 'kind', ARGV[i + 1], 'event', ARGV[i + 2],
    'at', ARGV[i + 3], 'rows', ARGV[i + 4], 'mac', ARGV[i + 5])
  ask(keys[3], keys[4], ARGV[i + 4], word, '0', score or ARGV[i + 3])
  return word
end

-- Commits one event: moves a record on by one version, with its audit event, outbox rows, due time and indexes, or
-- changes nothing.
--
-- with event.lua
-- KEYS 1 record  2 due  3 audit  4 seq  5 outbox  6 outbox rows  7 pending TTL  8 active TTL  9… of guards and extra writes
-- ARGV 1 id  2 version expected (0: must not exist)  3 fence ('' when no lease is held)  4 deadline ('' none)
--      5 new version  6 body  7 seal  8 due ('' when over)  9 lease until ('' none)
--      10 pending until, ms ('' none)  11 active until, ms ('' none)  12 retention, s ('' while open)
--      13 wake channel  14 kind  15 event  16 its MAC  17 rows of its messages, on lines (# its number)
--      18 n, then n guards  …  n, then n extra writes
--      a guard: word, key index, argument, argument   a write: command, key index, words      each on lines of one
-- Returns {OK, now, seq} | {SUPERSEDED, now} | {LATE, now} | {GUARD, now, index from 1}
local LONGEST = 600 -- seconds; a claim is extended in steps that are far shorter

local function lines(text)
  local found = {}
  for line in string.gmatch(text .. '\n', '(.-)\n') do found[#found + 1] = line end
  return found
end

local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1e6
local stamp = string.format('%.6f', now)

local held = redis.pcall('HMGET', KEYS[1], 'version', 'fence', 'lease', 'seal')
if held.err then return {'SUPERSEDED', stamp} end -- no record
local version = tonumber(held[1] or '0')
if version == tonumber(ARGV[5]) and held[4] == ARGV[7] then
  -- The same commit, sent again after an answer that was lost. It writes what stands there, so that a WAIT after it
  -- on this connection, which may be a new one, waits for it.
  redis.call('HSET', KEYS[1], 'version', ARGV[5])
  return {'OK', stamp, redis.call('GET', KEYS[4])}
end
-- Compare-and-set on the version, and on the fencing token of a claim: a worker whose lease another one took over since
-- has an older token, and changes nothing.
if version ~= tonumber(ARGV[2]) or (ARGV[3] ~= '' and held[2] ~= ARGV[3]) then
  return {'SUPERSEDED', stamp}
end
-- By Redis' clock at the moment of the write: a decision in time that arrives late is refused.
if ARGV[4] ~= '' and now >= tonumber(ARGV[4]) then
  return {'LATE', stamp}
end

local at = 18
local guards = tonumber(ARGV[at])
for i = 1, guards do
  local word, key, a, b = unpack(lines(ARGV[at + i]))
  key = KEYS[tonumber(key)]
  local holds = true
  if word == 'EQUALS' then
    local value = redis.pcall('GET', key)
    if type(value) == 'table' then value = '?' end -- of another type: foreign, equal to nothing
    holds = (value or '') == a
  elseif word == 'ALONE' then -- nobody but a holds it
    holds = redis.call('HLEN', key) - redis.call('HEXISTS', key, a) == 0
  elseif word == 'HELD' then -- a holds it and is not leaving
    holds = redis.call('HGET', key, a) == 'held'
  elseif word == 'OTHERS' then -- somebody but a holds it and is not leaving
    holds = false
    local all = redis.call('HGETALL', key)
    for j = 1, #all, 2 do holds = holds or (all[j] ~= a and all[j + 1] == 'held') end
  else
    holds = false
  end
  if not holds then return {'GUARD', stamp, i} end
end
at = at + guards + 1

-- The event first: where it cannot be appended the script ends here, and no record moves on without its event.
of_kind(KEYS[2], 'zset')
local word = append(KEYS[3], KEYS[4], 'id', ARGV[1], 'version', ARGV[5], 'kind', ARGV[14], 'event', ARGV[15],
  'due', ARGV[8], 'rows', ARGV[17], 'mac', ARGV[16])

local lease = tonumber(held[3] or '0') or 0
if lease > now + LONGEST then lease = 0 end -- longer than any of ours: forged, and would keep workers away
if ARGV[3] ~= '' then lease = tonumber(ARGV[9] ~= '' and ARGV[9] or '0') end
redis.call('HSET', KEYS[1], 'version', ARGV[5], 'body', ARGV[6], 'seal', ARGV[7], 'due', ARGV[8])
if lease > 0 then
  redis.call('HSET', KEYS[1], 'lease', string.format('%.6f', lease))
elseif held[3] then -- most records have no lease, and no field to delete
  redis.call('HDEL', KEYS[1], 'lease')
end
local score
if ARGV[8] == '' then
  redis.call('ZREM', KEYS[2], ARGV[1])
else
  score = tonumber(ARGV[8])
  -- max(due, end of the lease): nobody else claims it while a provider call is in flight. The true due time stays in
  -- the record.
  if lease > now and lease > score then score = lease end
  redis.call('ZADD', KEYS[2], string.format('%.6f', score), ARGV[1])
end
if ARGV[12] ~= '' then redis.call('EXPIRE', KEYS[1], ARGV[12]) end
if ARGV[10] ~= '' then redis.call('SET', KEYS[7], ARGV[5], 'PXAT', ARGV[10]) else redis.call('DEL', KEYS[7]) end
if ARGV[11] ~= '' then redis.call('SET', KEYS[8], ARGV[5], 'PXAT', ARGV[11]) else redis.call('DEL', KEYS[8]) end

local asked = ask(KEYS[5], KEYS[6], ARGV[17], word, ARGV[5], stamp)

for i = 1, tonumber(ARGV[at]) do
  local words = lines(ARGV[at + i])
  local key = KEYS[tonumber(words[2])]
  if type(redis.pcall(words[1], key, unpack(words, 3))) == 'table' then
    redis.call('DEL', key) -- of another type, so foreign; it must not make the commit fail
    redis.call(words[1], key, unpack(words, 3))
  end
end
-- Only a hint: loops look again within a second anyway. While a claim is kept, the commit that frees it is near.
if ARGV[9] == '' and (asked > 0 or score and score < now + 2) then redis.call('PUBLISH', ARGV[13], ARGV[1]) end
return {'OK', stamp, word}

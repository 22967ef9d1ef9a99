-- Writes one request forward by one version, with all that belongs to it, or nothing at all.
--
-- KEYS 1 record  2 due  3 audit  4 seq  5 outbox  6 outbox rows  7 pending TTL  8 active TTL  9… of guards and ops
-- ARGV 1 id  2 version expected (0: must not exist)  3 fence ('' when no lease is held)  4 deadline ('' none)
--      5 new version  6 body  7 seal  8 due ('' when over)  9 lease until ('' none)
--      10 pending until, ms ('' none)  11 active until, ms ('' none)  12 retention, s ('' while open)
--      13 wake channel  14 kind  15 event
--      16 n, then n audiences  …  n, then n guards  …  n, then n ops
--      a guard: word, key index, argument, argument      an op: command, key index, words      each on lines of one
-- Returns {OK, now, seq} | {SUPERSEDED, now} | {LATE, now} | {GUARD, now, index from 1}
local function lines(text)
  local found = {}
  for line in string.gmatch(text .. '\n', '(.-)\n') do found[#found + 1] = line end
  return found
end

local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1e6
local stamp = string.format('%.6f', now)

local held = redis.call('HMGET', KEYS[1], 'version', 'fence', 'lease', 'seal')
local version = tonumber(held[1] or '0')
if version == tonumber(ARGV[5]) and held[4] == ARGV[7] then
  -- The same commit, sent again after an answer that was lost. It writes what stands there, so that a WAIT after it
  -- on this connection, which may be a new one, waits for it.
  redis.call('HSET', KEYS[1], 'version', ARGV[5])
  return {'OK', stamp, redis.call('GET', KEYS[4])}
end
if version ~= tonumber(ARGV[2]) or (ARGV[3] ~= '' and held[2] ~= ARGV[3]) then
  return {'SUPERSEDED', stamp}
end
if ARGV[4] ~= '' and now >= tonumber(ARGV[4]) then
  return {'LATE', stamp}
end

local at = 16
local rows = {}
for i = 1, tonumber(ARGV[at]) do rows[i] = ARGV[at + i] end
at = at + #rows + 1

local guards = tonumber(ARGV[at])
for i = 1, guards do
  local word, key, a, b = unpack(lines(ARGV[at + i]))
  key = KEYS[tonumber(key)]
  local holds = true
  if word == 'EQUALS' then
    holds = (redis.call('GET', key) or '') == a
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

local lease = tonumber(held[3] or '0')
if ARGV[3] ~= '' then lease = tonumber(ARGV[9] ~= '' and ARGV[9] or '0') end
redis.call('HSET', KEYS[1], 'version', ARGV[5], 'body', ARGV[6], 'seal', ARGV[7], 'due', ARGV[8])
if lease > 0 then
  redis.call('HSET', KEYS[1], 'lease', string.format('%.6f', lease))
elseif held[3] then -- most of what is open is in nobody's hand
  redis.call('HDEL', KEYS[1], 'lease')
end
local score
if ARGV[8] == '' then
  redis.call('ZREM', KEYS[2], ARGV[1])
else
  score = tonumber(ARGV[8])
  if lease > now and lease > score then score = lease end
  redis.call('ZADD', KEYS[2], string.format('%.6f', score), ARGV[1])
end
if ARGV[12] ~= '' then redis.call('EXPIRE', KEYS[1], ARGV[12]) end
if ARGV[10] ~= '' then redis.call('SET', KEYS[7], ARGV[5], 'PXAT', ARGV[10]) else redis.call('DEL', KEYS[7]) end
if ARGV[11] ~= '' then redis.call('SET', KEYS[8], ARGV[5], 'PXAT', ARGV[11]) else redis.call('DEL', KEYS[8]) end

local seq = redis.call('INCR', KEYS[4])
redis.call('XADD', KEYS[3], seq .. '-0', 'id', ARGV[1], 'version', ARGV[5], 'kind', ARGV[14], 'event', ARGV[15])
for i = 1, #rows do
  local row = string.gsub(rows[i], '#', tostring(seq)) -- a row of its own an event carries the event's number
  redis.call('HSET', KEYS[6], row, ARGV[5])
  redis.call('ZADD', KEYS[5], 'NX', stamp, row)
end

for i = 1, tonumber(ARGV[at]) do
  local words = lines(ARGV[at + i])
  redis.call(words[1], KEYS[tonumber(words[2])], unpack(words, 3))
end
-- Whoever waits looks again within a second unasked. While a claim is kept, the commit that gives it back is near.
if ARGV[9] == '' and (#rows > 0 or score and score < now + 2) then redis.call('PUBLISH', ARGV[13], ARGV[1]) end
return {'OK', stamp, tostring(seq)}

-- Tells that a mass change is held back: an audit event, its message, and what is held by now, at once.
--
-- KEYS 1 audit  2 seq  3 outbox  4 outbox rows  5 held
-- ARGV 1 event  2 row of its message (# its number)  3 what is held  4 its TTL, s  5 wake channel
-- Returns the event's number
local time = redis.call('TIME')
local at = string.format('%.6f', tonumber(time[1]) + tonumber(time[2]) / 1e6)
local seq = redis.call('INCR', KEYS[2])
redis.call('XADD', KEYS[1], seq .. '-0', 'id', '', 'version', '0', 'kind', 'alarm', 'event', ARGV[1], 'at', at)
local row = string.gsub(ARGV[2], '#', tostring(seq))
redis.call('HSET', KEYS[4], row, '0')
redis.call('ZADD', KEYS[3], 'NX', at, row)
redis.call('SET', KEYS[5], ARGV[3], 'EX', ARGV[4])
redis.call('PUBLISH', ARGV[5], '')
return tostring(seq)

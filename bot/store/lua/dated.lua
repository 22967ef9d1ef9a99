-- Does the work of a date once: the key that claims it, its audit event, and the rows of its messages, at once.
--
-- KEYS 1 claim  2 audit  3 seq  4 outbox  5 outbox rows
-- ARGV 1 claim's TTL, s  2 kind  3 event  4 wake channel  5… rows (# the event's number)
-- Returns {CLAIMED, seq} | {TAKEN}
if redis.call('EXISTS', KEYS[1]) == 1 then return {'TAKEN'} end
local time = redis.call('TIME')
local at = string.format('%.6f', tonumber(time[1]) + tonumber(time[2]) / 1e6)
local seq = redis.call('INCR', KEYS[3])
redis.call('XADD', KEYS[2], seq .. '-0', 'id', '', 'version', '0', 'kind', ARGV[2], 'event', ARGV[3], 'at', at)
for i = 5, #ARGV do
  local row = string.gsub(ARGV[i], '#', tostring(seq))
  redis.call('HSET', KEYS[5], row, '0')
  redis.call('ZADD', KEYS[4], 'NX', at, row)
end
-- Last: whatever breaks before this line, nobody takes the work for done.
redis.call('SET', KEYS[1], tostring(seq), 'EX', ARGV[1])
redis.call('PUBLISH', ARGV[4], '')
return {'CLAIMED', tostring(seq)}

-- Writes an audit event that changes no request: a refusal, a read, an alarm. Repeats within a window are one.
--
-- KEYS 1 audit  2 seq  3 coalescing key  4 outbox  5 outbox rows
-- ARGV 1 id ('' when none)  2 kind  3 event  4 window, s (0: each one counts)
--      5 row of its message (# its number; '' none)  6 wake channel
-- Returns {WRITTEN, seq} | {COALESCED, how many so far}
if tonumber(ARGV[4]) > 0 then
  local seen = redis.call('INCR', KEYS[3])
  if seen > 1 then return {'COALESCED', tostring(seen)} end
  redis.call('EXPIRE', KEYS[3], ARGV[4])
end
local time = redis.call('TIME')
local at = string.format('%.6f', tonumber(time[1]) + tonumber(time[2]) / 1e6)
local seq = redis.call('INCR', KEYS[2])
redis.call('XADD', KEYS[1], seq .. '-0', 'id', ARGV[1], 'version', '0', 'kind', ARGV[2], 'event', ARGV[3], 'at', at)
if ARGV[5] ~= '' then
  local row = string.gsub(ARGV[5], '#', tostring(seq))
  redis.call('HSET', KEYS[5], row, '0')
  redis.call('ZADD', KEYS[4], 'NX', '0', row) -- alarms go first
  redis.call('PUBLISH', ARGV[6], ARGV[1])
end
return {'WRITTEN', tostring(seq)}

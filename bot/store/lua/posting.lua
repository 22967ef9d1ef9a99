-- Marks a message as on its way, unless it stands in Slack already or somebody else's is on its way.
--
-- KEYS 1 posts  2 outbox
-- ARGV 1 audience  2 seconds for which its outcome is waited for  3 TTL, s  4 row, when it was ours and got no answer
-- Returns {MARKED} | {STANDS} | {WAITS, seconds left}
local known = redis.call('HGET', KEYS[1], ARGV[1])
if known and string.sub(known, 1, 8) ~= 'posting ' then return {'STANDS'} end
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1e6
if known and ARGV[4] == '' then
  -- Never longer than anybody waits: a time from far ahead is none of ours.
  local left = math.min((tonumber(string.sub(known, 9)) or now) - now, tonumber(ARGV[2]))
  if left > 0 then return {'WAITS', string.format('%.6f', left)} end
end
local patience = string.format('%.6f', now + tonumber(ARGV[2]))
redis.call('HSET', KEYS[1], ARGV[1], 'posting ' .. patience)
redis.call('EXPIRE', KEYS[1], ARGV[3])
if ARGV[4] ~= '' then redis.call('ZADD', KEYS[2], 'XX', patience, ARGV[4]) end
return {'MARKED'}

-- Frees a claimed request before its lease is over; it is due again when its record says so.
--
-- KEYS 1 record  2 due
-- ARGV 1 id  2 fence  3 wake channel  4 not before, Unix seconds ('' at once)
-- Returns FREED | LOST (another worker holds it, or it is over)
local record = redis.call('HMGET', KEYS[1], 'fence', 'due')
if record[1] ~= ARGV[2] or not record[2] or record[2] == '' then return 'LOST' end
-- The token goes with the claim: a commit that is still on its way under it is refused.
redis.call('HSET', KEYS[1], 'fence', '', 'lease', '0')
local score = tonumber(record[2]) or 0 -- an invalid time, which is forged, is due at once
if ARGV[4] ~= '' and tonumber(ARGV[4]) > score then score = tonumber(ARGV[4]) end
redis.call('ZADD', KEYS[2], string.format('%.6f', score), ARGV[1])
redis.call('PUBLISH', ARGV[3], ARGV[1])
return 'FREED'

-- Prolongs a claim while a provider call takes long, unless another worker holds it by now (fencing).
--
-- KEYS 1 record  2 due
-- ARGV 1 id  2 fence  3 lease, s
-- Returns KEPT | LOST (another worker holds it, it was given back, or it is over)
local record = redis.call('HMGET', KEYS[1], 'fence', 'due', 'lease')
if record[1] ~= ARGV[2] or not record[2] or record[2] == '' then return 'LOST' end
if not record[3] or tonumber(record[3]) == 0 then return 'LOST' end
local time = redis.call('TIME')
local lease = string.format('%.6f', tonumber(time[1]) + tonumber(time[2]) / 1e6 + tonumber(ARGV[3]))
redis.call('HSET', KEYS[1], 'lease', lease)
redis.call('ZADD', KEYS[2], lease, ARGV[1])
return 'KEPT'

-- Takes a due request under a lease, so that no other worker acts on it meanwhile.
--
-- KEYS 1 record  2 due
-- ARGV 1 id  2 lease, s
-- Returns {CLAIMED, now, fence, version, body, seal} | {HELD, now} | {MISSING, now}
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1e6
local stamp = string.format('%.6f', now)
local score = redis.call('ZSCORE', KEYS[2], ARGV[1])
if not score or tonumber(score) > now then return {'HELD', stamp} end
local lease = string.format('%.6f', now + tonumber(ARGV[2]))
redis.call('ZADD', KEYS[2], lease, ARGV[1])
if redis.call('EXISTS', KEYS[1]) == 0 then return {'MISSING', stamp} end
local fence = redis.pcall('HINCRBY', KEYS[1], 'fence', 1)
if type(fence) == 'table' then return {'MISSING', stamp} end -- not a record, or not one that we wrote
redis.call('HSET', KEYS[1], 'lease', lease)
local record = redis.call('HMGET', KEYS[1], 'version', 'body', 'seal')
return {'CLAIMED', stamp, tostring(fence), record[1], record[2], record[3]}

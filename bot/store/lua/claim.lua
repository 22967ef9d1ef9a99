-- Takes a due request under a lease, so that no other worker acts on it meanwhile.
--
-- KEYS 1 record  2 due
-- ARGV 1 id  2 lease, s  3 fence, the claimant's own and never used before
-- Returns {CLAIMED, now, version, body, seal} | {HELD, now} | {MISSING, now}
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1e6
local stamp = string.format('%.6f', now)
local score = redis.call('ZSCORE', KEYS[2], ARGV[1])
if not score then return {'HELD', stamp} end
if tonumber(score) > now then
  -- Idempotent: the same claim, sent again after its answer was lost, is still ours.
  local fence = redis.pcall('HGET', KEYS[1], 'fence')
  if fence ~= ARGV[3] then return {'HELD', stamp} end
end
-- The due set first: where the record is missing or forged, the request comes up again when the lease is over.
local lease = string.format('%.6f', now + tonumber(ARGV[2]))
redis.call('ZADD', KEYS[2], lease, ARGV[1])
if redis.call('EXISTS', KEYS[1]) == 0 then return {'MISSING', stamp} end
local held = redis.pcall('HSET', KEYS[1], 'fence', ARGV[3], 'lease', lease)
if type(held) == 'table' then return {'MISSING', stamp} end -- not a record
local record = redis.call('HMGET', KEYS[1], 'version', 'body', 'seal')
return {'CLAIMED', stamp, record[1], record[2], record[3]}

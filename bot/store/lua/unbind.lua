-- Frees an address from the account that it is bound to: the audit event, its message, and the binding, at once.
--
-- KEYS 1 identity  2 audit  3 seq  4 outbox  5 outbox rows
-- ARGV 1 the account that it is thought to be bound to  2 event  3 row of its message (# its number)  4 wake channel
-- Returns FREED | OTHER (it is bound to another by now, or to none)
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 'OTHER' end
local time = redis.call('TIME')
local at = string.format('%.6f', tonumber(time[1]) + tonumber(time[2]) / 1e6)
local seq = redis.call('INCR', KEYS[3])
redis.call('XADD', KEYS[2], seq .. '-0', 'id', '', 'version', '0', 'kind', 'unbound', 'event', ARGV[2], 'at', at)
local row = string.gsub(ARGV[3], '#', tostring(seq))
redis.call('HSET', KEYS[5], row, '0')
redis.call('ZADD', KEYS[4], 'NX', at, row)
redis.call('DEL', KEYS[1])
redis.call('PUBLISH', ARGV[4], '')
return 'FREED'

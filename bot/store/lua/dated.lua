-- Does the work of a date once: the key that claims it, its audit event, and the rows of its messages, at once.
--
-- with event.lua
-- KEYS 1 audit  2 seq  3 outbox  4 outbox rows  5 claim
-- ARGV 1 claim's TTL, s  2 claim's value  3 wake channel  4… the event, as `say` reads it
-- Returns {CLAIMED, seq} | {TAKEN}
of_kind(KEYS[5], 'string')
if redis.call('GET', KEYS[5]) == ARGV[2] then return {'TAKEN'} end
local seq = say(KEYS, 4)
-- Last: whatever breaks before this line, nobody takes the work for done.
redis.call('SET', KEYS[5], ARGV[2], 'EX', ARGV[1])
redis.call('PUBLISH', ARGV[3], '')
return {'CLAIMED', seq}

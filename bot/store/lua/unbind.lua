-- Frees an address from the account that it is bound to: the audit event, its message, and the binding, at once.
--
-- with event.lua
-- KEYS 1 audit  2 seq  3 outbox  4 outbox rows  5 identity
-- ARGV 1 the value that is to be there  2 the value that says that it was freed  3 wake channel
--      4… the event, as `say` reads it
-- Returns FREED | OTHER (it is bound to another by now, or to none)
if redis.call('GET', KEYS[5]) ~= ARGV[1] then return 'OTHER' end
say(KEYS, 4)
redis.call('SET', KEYS[5], ARGV[2])
redis.call('PUBLISH', ARGV[3], '')
return 'FREED'

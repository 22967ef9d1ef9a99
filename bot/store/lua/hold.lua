-- Tells that a mass change is held back: an audit event, its message, and what is held by now, at once.
--
-- with event.lua
-- KEYS 1 audit  2 seq  3 outbox  4 outbox rows  5 held
-- ARGV 1 what is held  2 its TTL, s  3 wake channel  4… the event, as `say` reads it
-- Returns the event's number
local seq = say(KEYS, 4)
redis.call('SET', KEYS[5], ARGV[1], 'EX', ARGV[2])
redis.call('PUBLISH', ARGV[3], '')
return seq

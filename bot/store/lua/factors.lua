-- Writes a person's factors and the register that names their revision, if both are still what the writer read; with
-- the audit event, and whom it is told.
--
-- with event.lua
-- KEYS 1 audit  2 seq  3 outbox  4 outbox rows  5 the record  6 the register
-- ARGV 1 record expected ('' none)  2 new record  3 register expected ('' none)  4 new register  5 wake channel
--      6… the event, as `say` reads it
-- Returns WRITTEN | MOVED (the record) | REGISTER_MOVED
of_kind(KEYS[5], 'string')
of_kind(KEYS[6], 'string')
local held = redis.call('GET', KEYS[5]) or ''
if held == ARGV[2] then return 'WRITTEN' end -- the same, sent again after an answer that was lost
if held ~= ARGV[1] then return 'MOVED' end
if (redis.call('GET', KEYS[6]) or '') ~= ARGV[3] then return 'REGISTER_MOVED' end
redis.call('SET', KEYS[5], ARGV[2])
redis.call('SET', KEYS[6], ARGV[4])
say(KEYS, 6, '0') -- alarms go first
redis.call('PUBLISH', ARGV[5], '')
return 'WRITTEN'

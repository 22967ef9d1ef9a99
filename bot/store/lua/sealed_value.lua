-- Writes one sealed value (the lockdowns, the delegations, who is in which group), if it is still what the writer read;
-- with the audit event, and whom it is told.
--
-- with event.lua
-- KEYS 1 audit  2 seq  3 outbox  4 outbox rows  5 the value
-- ARGV 1 value expected ('' none)  2 new value  3 wake channel
--      4… the event, as `say` reads it (none: nothing that anybody has to know)
-- Returns WRITTEN | MOVED
of_kind(KEYS[5], 'string')
local held = redis.call('GET', KEYS[5]) or ''
if held == ARGV[2] then return 'WRITTEN' end -- the same, sent again after an answer that was lost
if held ~= ARGV[1] then return 'MOVED' end
redis.call('SET', KEYS[5], ARGV[2])
if #ARGV > 3 then
  say(KEYS, 4, '0') -- alarms go first
  redis.call('PUBLISH', ARGV[3], '')
end
return 'WRITTEN'

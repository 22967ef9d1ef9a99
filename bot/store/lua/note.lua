-- Writes an audit event that changes no request: a refusal, a read, an alarm. Repeats within a window are one.
--
-- with event.lua
-- KEYS 1 audit  2 seq  3 outbox  4 outbox rows  5 coalescing key
-- ARGV 1 window, s (0: each one counts)  2 coalescing value that was read ('' none)  3 its new value  4 wake channel
--      5… the event, as `say` reads it
-- Returns {WRITTEN, seq} | {COALESCED}
if tonumber(ARGV[1]) > 0 then
  of_kind(KEYS[5], 'string')
  -- Whoever read the same and came first has written it; what somebody else put there was not believed.
  if (redis.call('GET', KEYS[5]) or '') ~= ARGV[2] then return {'COALESCED'} end
  redis.call('SET', KEYS[5], ARGV[3], 'EX', ARGV[1])
end
local seq = say(KEYS, 5, '0') -- alarms go first
if ARGV[9] ~= '' then redis.call('PUBLISH', ARGV[4], ARGV[5]) end
return {'WRITTEN', seq}

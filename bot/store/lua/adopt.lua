-- Makes a policy generation the one that the workspace decides by; that it was another before is an audit event.
--
-- with event.lua
-- KEYS 1 audit  2 seq  3 outbox  4 outbox rows  5 policy
-- ARGV 1 value expected ('' none)  2 value  3 wake channel  4… the event, as `say` reads it (none: the first one)
-- Returns ADOPTED | MOVED
of_kind(KEYS[5], 'string')
if (redis.call('GET', KEYS[5]) or '') ~= ARGV[1] then return 'MOVED' end
redis.call('SET', KEYS[5], ARGV[2])
if #ARGV > 3 then
  say(KEYS, 4)
  redis.call('PUBLISH', ARGV[3], '')
end
return 'ADOPTED'

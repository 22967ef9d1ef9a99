-- Writes what was found in a system: an audit event each, one that sums them up, one message, and what is told by now.
--
-- with event.lua
-- KEYS 1 audit  2 seq  3 outbox  4 outbox rows  5 told
-- ARGV 1 told TTL, s  2 wake channel  3 n, then n events, each as `say` reads it
--      then m, then m times: what, how (all that is told as of now; the rest is forgotten)
-- Returns how many events were written
local n = tonumber(ARGV[3])
for i = 1, n do say(KEYS, 6 * i - 2) end
redis.call('DEL', KEYS[5])
local first = 4 + 6 * n
for i = 1, tonumber(ARGV[first]) do
  redis.call('HSET', KEYS[5], ARGV[first + 2 * i - 1], ARGV[first + 2 * i])
end
redis.call('EXPIRE', KEYS[5], ARGV[1])
redis.call('PUBLISH', ARGV[2], '')
return n

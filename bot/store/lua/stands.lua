-- Notes where a message stands in Slack; when another copy of it is known, asks for this one to be removed.
--
-- KEYS 1 posts  2 outbox  3 outbox rows
-- ARGV 1 request  2 audience  3 channel  4 ts  5 TTL, s  6 wake channel  7 '1' when Slack's answer to us says so
--      8 tag of the place  9 what the row of a second copy is worth
-- Returns NOTED | SECOND | UNASKED (nothing of that name was ever on its way)
local known, this = redis.call('HGET', KEYS[1], ARGV[2]), ARGV[3] .. ' ' .. ARGV[4]
if known and string.sub(known, 1, #this + 1) == this .. ' ' then return 'NOTED' end
if not known and ARGV[7] ~= '1' then return 'UNASKED' end
if known and string.sub(known, 1, 8) ~= 'posting ' then
  local copy = ARGV[1] .. '|copy:' .. this
  redis.call('HSET', KEYS[3], copy, ARGV[9])
  redis.call('ZADD', KEYS[2], '0', copy)
  redis.call('PUBLISH', ARGV[6], ARGV[1])
  return 'SECOND'
end
redis.call('HSET', KEYS[1], ARGV[2], this .. ' ' .. ARGV[8])
redis.call('EXPIRE', KEYS[1], ARGV[5])
if ARGV[7] ~= '1' then -- whoever waits to learn what came of it need wait no longer
  redis.call('ZADD', KEYS[2], 'XX', '0', ARGV[1] .. '|' .. ARGV[2])
  redis.call('PUBLISH', ARGV[6], ARGV[1])
end
return 'NOTED'

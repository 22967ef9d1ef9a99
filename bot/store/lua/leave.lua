-- Leaves a shared entitlement: at once when others hold it, else by marking oneself as the one who closes it.
--
-- KEYS 1 holds  2 record
-- ARGV 1 order  2 fence
-- Returns OTHERS (left) | LAST (closing) | LOST (another worker holds the claim: a mark left now would stay for ever)
if redis.call('HGET', KEYS[2], 'fence') ~= ARGV[2] then return 'LOST' end
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  if all[i] ~= ARGV[1] and all[i + 1] == 'held' then
    redis.call('HDEL', KEYS[1], ARGV[1])
    return 'OTHERS'
  end
end
redis.call('HSET', KEYS[1], ARGV[1], 'closing')
return 'LAST'

-- Leaves a shared entitlement: at once when others hold it, else by marking oneself as the one who closes it.
--
-- KEYS 1 holds
-- ARGV 1 order
-- Returns OTHERS (left) | LAST (closing)
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  if all[i] ~= ARGV[1] and all[i + 1] == 'held' then
    redis.call('HDEL', KEYS[1], ARGV[1])
    return 'OTHERS'
  end
end
redis.call('HSET', KEYS[1], ARGV[1], 'closing')
return 'LAST'

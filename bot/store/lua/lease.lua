-- Takes, renews or gives up a named lease.
--
-- KEYS 1 lease
-- ARGV 1 holder  2 milliseconds (0: give up)
-- Returns MINE | THEIRS
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 'THEIRS' end
if tonumber(ARGV[2]) == 0 then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
end
return 'MINE'

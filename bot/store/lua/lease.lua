-- Takes, renews or gives up a named lease; one that lapsed, or is not as we write it, is anybody's.
--
-- KEYS 1 lease
-- ARGV 1 holder  2 what it holds with: holder, until when (Unix seconds), MAC ('' gives it up)
--      3 TTL, ms  4 value that we did not write ('' none)
-- Returns {MINE} | {THEIRS, value}
local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[4] then
  local holder, till = string.match(held, '^(%S+) (%S+) %S+$')
  if holder ~= ARGV[1] then
    local time = redis.call('TIME')
    if (tonumber(till) or 0) > tonumber(time[1]) + tonumber(time[2]) / 1e6 then return {'THEIRS', held} end
  end
end
if ARGV[2] == '' then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
end
return {'MINE'}

-- Sets aside what stands in the place of our keys and is of another kind than ours: somebody else put it there.
--
-- KEYS 1 key  2 name to set it aside under  …  and so on, two by two
-- ARGV 1 TTL of what is set aside, s  2… the kind that each is to be of
-- Returns {the number of each that was set aside, from 1 …}
local aside = {}
for i = 1, #KEYS / 2 do
  local key, name = KEYS[2 * i - 1], KEYS[2 * i]
  local kind = redis.call('TYPE', key).ok
  if kind ~= 'none' and kind ~= ARGV[i + 1] then
    redis.call('RENAME', key, name) -- whatever its size, this takes no time
    redis.call('EXPIRE', name, ARGV[1])
    aside[#aside + 1] = i
  end
end
return aside

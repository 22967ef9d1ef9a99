-- Who has something to lose, in the order of their ids: from one person's stakes to the next one's, past all between.
--
-- KEYS 1 stakes
-- ARGV 1 the person after whom to begin ('' the first one)  2 how many at most
-- Returns {person …}
local found, after = {}, ARGV[1]
for i = 1, tonumber(ARGV[2]) do
  -- An entry is "person request"; the sign after the blank is past all of one person's.
  local from = after == '' and '-' or '[' .. after .. '!'
  local entry = redis.call('ZRANGEBYLEX', KEYS[1], from, '+', 'LIMIT', 0, 1)[1]
  if not entry then break end
  after = string.match(entry, '^[^ ]*')
  found[i] = after
end
return found

-- Settles an outbox row that was rendered at a version: done, unless a later commit asks for it again.
--
-- KEYS 1 outbox  2 outbox rows
-- ARGV 1 row  2 version rendered
-- Returns DONE | AGAIN
local asked = redis.call('HGET', KEYS[2], ARGV[1])
local version = asked and tonumber(string.match(asked, '^%d+')) -- what is asked for by nobody's commit bears a tag, too
if version and version > tonumber(ARGV[2]) then
  redis.call('ZADD', KEYS[1], '0', ARGV[1])
  return 'AGAIN'
end
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[2], ARGV[1])
return 'DONE'

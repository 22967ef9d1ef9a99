-- Notes what Slack said that somebody lost: an account, or a place in a user group. It is kept until its time is over.
--
-- KEYS 1 what was lost, by name  2 until when each is kept
-- ARGV 1 seconds that it is kept  2.. name and value in turn; a value begins with when it happened, Unix seconds
-- Returns NOTED | KNOWN (each was noted, of this time or a later one)
local time = redis.call('TIME')
local now = tonumber(time[1])
local over = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now)
for _, name in ipairs(over) do
  redis.call('HDEL', KEYS[1], name)
  redis.call('ZREM', KEYS[2], name)
end
local news = false
for i = 2, #ARGV, 2 do
  local name, value = ARGV[i], ARGV[i + 1]
  local known = redis.call('HGET', KEYS[1], name)
  -- What is no number was not written by us.
  local before = tonumber(string.match(known or '', '^[%d.]+') or '') or -1
  if before > now + 300 then before = -1 end -- of the future: none of ours
  -- An older event that comes late changes nothing of what a later one said.
  if tonumber(string.match(value, '^[%d.]+')) >= before and value ~= known then
    redis.call('HSET', KEYS[1], name, value)
    news = true
  end
  redis.call('ZADD', KEYS[2], now + tonumber(ARGV[1]), name)
end
-- Never the same twice, also when the keys have expired in between.
if news then redis.call('HSET', KEYS[1], 'revision', time[1] .. '.' .. time[2]) end
redis.call('EXPIRE', KEYS[1], 7200)
redis.call('EXPIRE', KEYS[2], 7200)
return news and 'NOTED' or 'KNOWN'

-- Notes that a request is something to lose, or that it is none any more, as its record of one version says.
--
-- KEYS 1 record  2 stakes
-- ARGV 1 the entry  2 version that was read ('' for no record)  3 '1' something to lose, '' none
-- Returns NOTED | MOVED (the record is another by now)
if (redis.call('HGET', KEYS[1], 'version') or '') ~= ARGV[2] then return 'MOVED' end
if ARGV[3] == '1' then
  redis.call('ZADD', KEYS[2], '0', ARGV[1])
else
  redis.call('ZREM', KEYS[2], ARGV[1])
end
return 'NOTED'

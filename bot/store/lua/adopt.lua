-- Makes a policy generation the one that the workspace decides by; that it was another before is an audit event.
--
-- KEYS 1 policy  2 audit  3 seq  4 outbox  5 outbox rows
-- ARGV 1 generation  2 which process does it, a JSON string  3 row of its message (# its number)  4 wake channel
-- Returns FIRST | SAME | CHANGED
local was = redis.call('GET', KEYS[1])
if was == ARGV[1] then return 'SAME' end
redis.call('SET', KEYS[1], ARGV[1])
if not was then return 'FIRST' end
local time = redis.call('TIME')
local at = string.format('%.6f', tonumber(time[1]) + tonumber(time[2]) / 1e6)
-- What an intruder left there is not carried into the record.
local known = string.match(was, '^%w+$') or ''
local event = '{"at":' .. at .. ',"by":"policy","via":' .. ARGV[2] .. ',"was":"' .. known .. '","now":"' .. ARGV[1] .. '"}'
local seq = redis.call('INCR', KEYS[3])
redis.call('XADD', KEYS[2], seq .. '-0', 'id', '', 'version', '0', 'kind', 'policy', 'event', event, 'at', at)
local row = string.gsub(ARGV[3], '#', tostring(seq))
redis.call('HSET', KEYS[5], row, '0')
redis.call('ZADD', KEYS[4], 'NX', at, row)
redis.call('PUBLISH', ARGV[4], '')
return 'CHANGED'

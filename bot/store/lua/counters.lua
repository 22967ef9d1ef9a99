-- What a verdict on a new request relies on, at one moment.
--
-- KEYS 1 revision  2 open requests  3 submits
-- ARGV 1 window, s
-- Returns {now, revision, submits in the window, open request …}
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1e6
local open = redis.call('SMEMBERS', KEYS[2])
local lately = redis.call('ZCOUNT', KEYS[3], string.format('(%.6f', now - tonumber(ARGV[1])), '+inf')
return {string.format('%.6f', now), redis.call('GET', KEYS[1]) or '', lately, unpack(open)}

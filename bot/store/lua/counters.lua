-- What a verdict on a new request relies on, at one moment.
--
-- KEYS 1 revision  2 open requests  3 submits  4… of rules
-- ARGV 1 window, s  2 window of rules, s
-- Returns {now, revision, submits in the window, approvals of a rule in its window …, open request …}
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1e6

local function lately(key, window)
  return redis.call('ZCOUNT', key, string.format('(%.6f', now - tonumber(window)), '+inf')
end

local found = {string.format('%.6f', now), redis.call('GET', KEYS[1]) or '', lately(KEYS[3], ARGV[1])}
for i = 4, #KEYS do found[i] = lately(KEYS[i], ARGV[2]) end
for _, open in ipairs(redis.call('SMEMBERS', KEYS[2])) do found[#found + 1] = open end
return found

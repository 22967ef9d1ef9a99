-- Writes what was found in a system: an audit event each, one that sums them up, one message, and what is told by now.
--
-- KEYS 1 audit  2 seq  3 outbox  4 outbox rows  5 told
-- ARGV 1 told TTL, s  2 wake channel  3 summary, an event ('' none)  4 row of its message ('' none; # its number)
--      5 n, then n times: request ('' none), event, row ('' none; # its number)
--      then m, then m times: what, how (all that is told as of now; the rest is forgotten)
-- Returns how many events were written
local time = redis.call('TIME')
local at = string.format('%.6f', tonumber(time[1]) + tonumber(time[2]) / 1e6)

local function note(id, kind, event, row)
  local seq = redis.call('INCR', KEYS[2])
  redis.call('XADD', KEYS[1], seq .. '-0', 'id', id, 'version', '0', 'kind', kind, 'event', event, 'at', at)
  if row ~= '' then
    row = string.gsub(row, '#', tostring(seq))
    redis.call('HSET', KEYS[4], row, '0')
    redis.call('ZADD', KEYS[3], 'NX', at, row)
  end
end

local n = tonumber(ARGV[5])
for i = 1, n do note(ARGV[3 + 3 * i], 'found', ARGV[4 + 3 * i], ARGV[5 + 3 * i]) end
if ARGV[3] ~= '' then note('', 'reconciled', ARGV[3], ARGV[4]) end

redis.call('DEL', KEYS[5])
local first = 6 + 3 * n
for i = 1, tonumber(ARGV[first]) do
  redis.call('HSET', KEYS[5], ARGV[first + 2 * i - 1], ARGV[first + 2 * i])
end
redis.call('EXPIRE', KEYS[5], ARGV[1])
redis.call('PUBLISH', ARGV[2], '')
return n + (ARGV[3] ~= '' and 1 or 0)

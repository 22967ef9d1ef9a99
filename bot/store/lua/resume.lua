-- Goes on after the last sealed number when the store came back from before it: no number is ever used twice.
--
-- with event.lua
-- KEYS 1 audit  2 seq  3 outbox  4 outbox rows
-- ARGV 1 last sealed number  2… the loss, as `say` reads it
--      8… numbers whose entries here are not those that were sealed
-- Returns {RESUMED, number of the loss} | {KNOWN} (done already)
local sealed = tonumber(ARGV[1])
local seq = tonumber(redis.call('GET', KEYS[2]) or '0') or 0
if seq >= sealed and #redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1]) == 0 then return {'KNOWN'} end
local newest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
local top = newest[1] and tonumber(string.match(newest[1][1], '^%d+')) or 0
redis.call('SET', KEYS[2], string.format('%.0f', math.max(seq, sealed, top)))

local loss = say(KEYS, 2)
for i = 8, #ARGV do
  local entry = redis.call('XRANGE', KEYS[1], ARGV[i], ARGV[i])[1]
  if entry then append(KEYS[1], KEYS[2], unpack(entry[2], 1, math.min(#entry[2], FIELDS))) end
end
-- Without this entry the next look finds nothing to do: the loss is recorded once, whoever dies when.
redis.call('XDEL', KEYS[1], ARGV[1])
return {'RESUMED', loss}

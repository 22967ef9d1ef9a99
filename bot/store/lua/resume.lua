-- Goes on after the last sealed number when the store came back from before it: no number is ever used twice.
--
-- KEYS 1 audit  2 seq
-- ARGV 1 last sealed number  2 the loss, an event  3… numbers whose entries here are not those that were sealed
-- Returns {RESUMED, number of the loss} | {KNOWN} (done already)
local sealed = tonumber(ARGV[1])
local seq = tonumber(redis.call('GET', KEYS[2]) or '0')
if seq >= sealed and #redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1]) == 0 then return {'KNOWN'} end
local newest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
local top = newest[1] and tonumber(string.match(newest[1][1], '^%d+')) or 0
redis.call('SET', KEYS[2], string.format('%d', math.max(seq, sealed, top)))

local time = redis.call('TIME')
local at = string.format('%.6f', tonumber(time[1]) + tonumber(time[2]) / 1e6)
local loss = redis.call('INCR', KEYS[2])
redis.call('XADD', KEYS[1], loss .. '-0', 'id', '', 'version', '0', 'kind', 'loss', 'event', ARGV[2], 'at', at)
for i = 3, #ARGV do
  local entry = redis.call('XRANGE', KEYS[1], ARGV[i], ARGV[i])[1]
  if entry then
    redis.call('XADD', KEYS[1], redis.call('INCR', KEYS[2]) .. '-0', unpack(entry[2]))
  end
end
-- Without this entry the next look finds nothing to do: the loss is recorded once, whoever dies when.
redis.call('XDEL', KEYS[1], ARGV[1])
return {'RESUMED', tostring(loss)}

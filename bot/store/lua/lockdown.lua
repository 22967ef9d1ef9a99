-- Writes which lockdowns stand, if they are still what the writer read; with the audit event, and whom it is told.
--
-- KEYS 1 lockdown  2 audit  3 seq  4 outbox  5 outbox rows
-- ARGV 1 value expected ('' none)  2 new value  3 kind  4 event  5 wake channel  6… rows (# the event's number)
-- Returns WRITTEN | MOVED
local held = redis.call('GET', KEYS[1]) or ''
if held == ARGV[2] then return 'WRITTEN' end -- the same, sent again after an answer that was lost
if held ~= ARGV[1] then return 'MOVED' end
redis.call('SET', KEYS[1], ARGV[2])
if ARGV[3] == '' then return 'WRITTEN' end -- the same lockdowns under a newer key
local time = redis.call('TIME')
local at = string.format('%.6f', tonumber(time[1]) + tonumber(time[2]) / 1e6)
local seq = redis.call('INCR', KEYS[3])
redis.call('XADD', KEYS[2], seq .. '-0', 'id', 'lockdown', 'version', '0', 'kind', ARGV[3], 'event', ARGV[4], 'at', at)
for i = 6, #ARGV do
  local row = string.gsub(ARGV[i], '#', tostring(seq))
  redis.call('HSET', KEYS[5], row, '0')
  redis.call('ZADD', KEYS[4], 'NX', '0', row) -- alarms go first
end
redis.call('PUBLISH', ARGV[5], '')
return 'WRITTEN'

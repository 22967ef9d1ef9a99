-- Writes what is bound to whom, where each value is still what the writer read: with the audit event, its messages and
-- the index of people, at once.
--
-- with event.lua
-- KEYS 1 audit  2 seq  3 outbox  4 outbox rows  5 index of people  6… the values
-- ARGV 1 the address for the index ('' none)  2 wake channel  3… of each value: the one expected ('' none), the new one
--      then the event, as `say` reads it (none: nothing that anybody has to know)
-- Returns WRITTEN | MOVED (something else was bound meanwhile)
local values, event = #KEYS - 5, 3 + 2 * (#KEYS - 5)
of_kind(KEYS[5], 'zset')
local same = true
for i = 1, values do
  of_kind(KEYS[5 + i], 'string')
  local held = redis.call('GET', KEYS[5 + i]) or ''
  same = same and held == ARGV[2 + 2 * i]
  if held ~= ARGV[1 + 2 * i] and held ~= ARGV[2 + 2 * i] then return 'MOVED' end
end
if same then return 'WRITTEN' end -- the same, sent again after an answer that was lost
if #ARGV >= event then say(KEYS, event) end
for i = 1, values do redis.call('SET', KEYS[5 + i], ARGV[2 + 2 * i]) end
if ARGV[1] ~= '' then redis.call('ZADD', KEYS[5], 0, ARGV[1]) end
if #ARGV >= event then redis.call('PUBLISH', ARGV[2], '') end
return 'WRITTEN'

-- Leaves a shared entitlement: at once when others hold it, else by marking oneself as the one who closes it.
--
-- KEYS 1 holds  2 record
-- ARGV 1 order  2 fence  3 '1' to stay for now where others hold it  4… orders whose records say that they hold it
-- Returns OTHERS (left, or stays) | LAST (closing) | LOOK (somebody holds it whose record was not looked at)
--      | LOST (another worker holds the claim: a mark left now would stay for ever)
if redis.call('HGET', KEYS[2], 'fence') ~= ARGV[2] then return 'LOST' end
local known, others = {}, false
for i = 4, #ARGV do known[ARGV[i]] = true end
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local id = string.match(all[i], '^J%-([2-9A-HJ-NP-Z]+)%.%d%d?$')
  if not id or #id < 4 or #id > 8 then -- as shared_entitlements.py has it: what it leaves out nobody would look at
    redis.call('HDEL', KEYS[1], all[i]) -- nobody's order
  elseif all[i] ~= ARGV[1] and all[i + 1] == 'held' then
    if not known[all[i]] then return 'LOOK' end
    others = true
  end
end
if others then
  if ARGV[3] ~= '1' then redis.call('HDEL', KEYS[1], ARGV[1]) end
  return 'OTHERS'
end
redis.call('HSET', KEYS[1], ARGV[1], 'closing')
return 'LAST'

-- What a verdict on a new request relies on, at one moment.
--
-- KEYS 1 ledger  2 open requests
-- Returns {now, ledger, open request …}; what is of another kind than it should be counts as nothing
local time = redis.call('TIME')
local ledger, open = redis.pcall('GET', KEYS[1]), redis.pcall('SMEMBERS', KEYS[2])
local found = {string.format('%.6f', tonumber(time[1]) + tonumber(time[2]) / 1e6), ledger}
if type(ledger) == 'table' then found[2] = '?' end
if not ledger then found[2] = '' end
if not open.err then
  for _, id in ipairs(open) do found[#found + 1] = id end
end
return found

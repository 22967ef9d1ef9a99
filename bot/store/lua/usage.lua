-- Writes a count of the uses of a role or system that a worker made, if nothing has changed since it was begun.
--
-- KEYS 1 its ledger  2 policy generation
-- ARGV 1 the value that was there ('' for none)  2 the generation that it was counted by  3 the new value
--      4 seconds that it is kept
-- Returns WRITTEN | MOVED
local value, policy = redis.pcall('GET', KEYS[1]), redis.pcall('GET', KEYS[2])
if type(value) == 'table' then value = '?' end -- of another type: foreign
if type(policy) == 'table' or policy ~= ARGV[2] or (value or '') ~= ARGV[1] then return 'MOVED' end
redis.call('SET', KEYS[1], ARGV[3], 'EX', ARGV[4])
return 'WRITTEN'

-- Removes what stands in place of a record, if it is still what was seen there.
--
-- KEYS 1 record
-- ARGV 1 its seal, whoever made it ('' where it has none, or is no record at all)
-- Returns DISCARDED | MOVED (another record stands there by now)
local seal = redis.pcall('HGET', KEYS[1], 'seal')
if type(seal) == 'table' or (seal or '') == ARGV[1] then -- a table: it is no hash
  redis.call('DEL', KEYS[1])
  return 'DISCARDED'
end
return 'MOVED'

-- Puts records, each unless a newer one is there, and tells the other nodes if that changed anything.
-- KEYS    1 hash: id -> 'version untilMs text'  2 string: changes with each change
-- ARGV    1 how long they are kept when no node looks any more, ms  2 channel  3 a new mark  then for each: id, version, 'version untilMs text'
-- Returns the number of changes
local changes = 0
for index = 4, #ARGV, 3 do
	local there = redis.call('HGET', KEYS[1], ARGV[index])
	local version = there and tonumber(string.match(there, '^(%d+) '))
	if there ~= ARGV[index + 2] and not (version and version > tonumber(ARGV[index + 1])) then
		redis.call('HSET', KEYS[1], ARGV[index], ARGV[index + 2])
		changes = changes + 1
	end
end
if changes > 0 then
	redis.call('SET', KEYS[2], ARGV[3])
	redis.call('PUBLISH', ARGV[2], 'changed')
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
redis.call('PEXPIRE', KEYS[2], ARGV[1])
return changes

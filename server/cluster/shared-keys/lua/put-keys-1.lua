-- Shares signing keys, and tells the other nodes if that changed anything.
-- KEYS    1 hash: key id -> sealed
-- ARGV    1 how long they are kept when no node looks any more, ms  2 channel  then for each: key id, sealed, '1' to replace what is there
-- Returns the number of changes
local changes = 0
for index = 3, #ARGV, 3 do
	if ARGV[index + 2] == '1' then
		redis.call('HSET', KEYS[1], ARGV[index], ARGV[index + 1])
		changes = changes + 1
	else
		changes = changes + redis.call('HSETNX', KEYS[1], ARGV[index], ARGV[index + 1])
	end
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
if changes > 0 then
	redis.call('PUBLISH', ARGV[2], 'changed')
end
return changes

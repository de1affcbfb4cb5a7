-- Gives a lease up; the epoch stays.
-- KEYS    1 home of the room: hash {node, incarnation, epoch, untilMs}
-- ARGV    1 node  2 incarnation  3 epoch  4 how long the epoch is remembered, ms
-- Returns 1 when it was held until now, else 0
local home = redis.call('HMGET', KEYS[1], 'node', 'incarnation', 'epoch', 'untilMs')
if home[1] ~= ARGV[1] or home[2] ~= ARGV[2] or home[3] ~= ARGV[3] or home[4] == '0' then
	return 0
end
redis.call('HSET', KEYS[1], 'untilMs', '0')
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1

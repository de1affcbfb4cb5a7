-- Extends a lease, if the room has no newer home.
-- KEYS    1 home of the room: hash {node, incarnation, epoch, untilMs}  2 room: hash with `version`  3 stage: hash with `version`
-- ARGV    1 node  2 incarnation  3 epoch  4 length of a lease, ms  5 how long the epoch is remembered, ms
--         6 until when (ms, this server's time) a lease that is not there is put back
-- Returns {'held', untilMs, room version or -1, stage version or -1}, {'lost', epoch} or {'missing', now in ms}
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local mine, ttl = tonumber(ARGV[3]), tonumber(ARGV[4])
local home = redis.call('HMGET', KEYS[1], 'node', 'incarnation', 'epoch', 'untilMs')
if home[3] then
	local stored = tonumber(home[3])
	-- untilMs 0: given up. A lower epoch: Redis went back to an older state, in which this node's claim is not.
	if stored > mine or (stored == mine and (home[1] ~= ARGV[1] or home[2] ~= ARGV[2] or home[4] == '0')) then
		return {'lost', stored}
	end
elseif now >= tonumber(ARGV[6]) then
	return {'missing', now}
end
redis.call('HSET', KEYS[1], 'node', ARGV[1], 'incarnation', ARGV[2], 'epoch', ARGV[3], 'untilMs', string.format('%d', now + ttl))
redis.call('PEXPIRE', KEYS[1], ARGV[5])
local room, stage = redis.call('HGET', KEYS[2], 'version'), redis.call('HGET', KEYS[3], 'version')
return {'held', now + ttl, tonumber(room or -1), tonumber(stage or -1)}

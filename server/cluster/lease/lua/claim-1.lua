-- Makes a node the home of a room, unless another node holds a lease that has not run out.
-- KEYS    1 home of the room: hash {node, incarnation, epoch, untilMs}
-- ARGV    1 node  2 incarnation  3 highest epoch the node has heard of  4 length of a lease, ms  5 how long the epoch is remembered, ms
--         6 until when (ms, this server's time) the claim is meant: later, things may be different
-- Returns {'taken', epoch, untilMs, node that had it before or ''}, {'refused', epoch, ms left, node that has it} or {'late'}
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if now > tonumber(ARGV[6]) then
	return {'late'}
end
local known, ttl = tonumber(ARGV[3]), tonumber(ARGV[4])
local home = redis.call('HMGET', KEYS[1], 'node', 'incarnation', 'epoch', 'untilMs')
local epoch, before
if home[3] then
	local stored, live = tonumber(home[3]), tonumber(home[4]) > now
	local ours = home[1] == ARGV[1] and home[2] == ARGV[2]
	if live and home[1] ~= ARGV[1] then
		return {'refused', stored, tonumber(home[4]) - now, home[1]}
	end
	-- The same claim twice, or one whose answer was lost: nothing has changed since.
	epoch = live and ours and stored >= known and stored or math.max(stored, known) + 1
	before = ours and '' or home[1]
else
	-- Redis may have lost a higher epoch than anybody remembers. Homes do not change every millisecond, so those
	-- since the start of 2025 are above every epoch that was ever granted.
	epoch = math.max(known + 1, now - 1735689600000)
	before = ''
end
redis.call('HSET', KEYS[1], 'node', ARGV[1], 'incarnation', ARGV[2], 'epoch', string.format('%d', epoch), 'untilMs', string.format('%d', now + ttl))
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return {'taken', epoch, now + ttl, before}

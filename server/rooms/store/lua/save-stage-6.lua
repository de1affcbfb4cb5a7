-- Keeps who is on stage, unless something newer is kept: a higher epoch, or the same with a higher version.
-- KEYS: room, numbers, bans, stage, tombstone, home
-- ARGV: node, epoch, expiry, channel, message, 6 version, 7 roster
-- Returns 1, 0 the same or something newer is kept, -2 room not found, -4 not home
-- include common.lua
if redis.call('EXISTS', KEYS[1]) == 0 then return ROOM_NOT_FOUND end
if refused() then return NOT_HOME end
local stored = redis.call('HMGET', KEYS[4], 'epoch', 'version')
if stored[1] then
	local theirs, mine = tonumber(stored[1]), tonumber(ARGV[2])
	if theirs > mine then return NOT_HOME end
	if theirs == mine and tonumber(stored[2]) >= tonumber(ARGV[6]) then return 0 end
end
redis.call('HSET', KEYS[4], 'epoch', ARGV[2], 'version', ARGV[6], 'roster', ARGV[7])
keep()
tell(ARGV[5])
return 1

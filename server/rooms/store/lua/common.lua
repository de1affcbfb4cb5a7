-- Shared by the scripts that change a room.
-- KEYS: 1 room, 2 numbers, 3 bans, 4 stage, 5 tombstone, 6 home
-- ARGV: 1 node, 2 epoch it holds the room with or '' (not home), 3 expiry in ms, 4 channel, 5 message or ''
local ROOM_EXISTS, ROOM_NOT_FOUND, PRECONDITION_FAILED, NOT_HOME, REMOVED = -1, -2, -3, -4, -5

-- Whether somebody else has the word: a newer home, or, for a node that is none, any living one.
local function refused()
	local home = redis.call('HMGET', KEYS[6], 'node', 'epoch', 'untilMs')
	if not home[2] then return false end
	if ARGV[2] == '' then
		local time = redis.call('TIME')
		return home[1] ~= ARGV[1] and tonumber(home[3] or '0') > time[1] * 1000 + math.floor(time[2] / 1000)
	end
	local theirs, mine = tonumber(home[2]), tonumber(ARGV[2])
	return theirs > mine or (theirs == mine and home[1] ~= ARGV[1])
end

-- What belongs to a room goes together, so every change makes all of it last.
local function keep()
	for index = 1, 5 do redis.call('PEXPIRE', KEYS[index], ARGV[3]) end
end

local function tell(message)
	if message ~= '' then redis.call('PUBLISH', ARGV[4], message) end
end

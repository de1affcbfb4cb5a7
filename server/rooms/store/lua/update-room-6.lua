-- Replaces a room by its next version.
-- KEYS: room, numbers, bans, stage, tombstone, home
-- ARGV: node, epoch or '', expiry, channel, message, 6 version, 7 record, 8 created (ms)
-- Returns 1, -2 room not found, -3 the stored version is not the one before (or the room is another one of the same id), -4 not home
-- include common.lua
local stored = redis.call('HMGET', KEYS[1], 'version', 'created')
if not stored[1] then return ROOM_NOT_FOUND end
if refused() then return NOT_HOME end
if tonumber(stored[1]) ~= tonumber(ARGV[6]) - 1 or stored[2] ~= ARGV[8] then return PRECONDITION_FAILED end
redis.call('HSET', KEYS[1], 'version', ARGV[6], 'record', ARGV[7])
keep()
tell(ARGV[5])
return 1

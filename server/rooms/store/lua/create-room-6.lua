-- Makes a room that is not there; what a removed one of the same id has left goes.
-- KEYS: room, numbers, bans, stage, tombstone, home
-- ARGV: node, epoch or '', expiry, channel, message, 6 created (ms), 7 version, 8 record
-- Returns 1, -1 room exists, -4 not home
-- include common.lua
if redis.call('EXISTS', KEYS[1]) == 1 then return ROOM_EXISTS end
if ARGV[2] ~= '' and refused() then return NOT_HOME end
redis.call('DEL', KEYS[2], KEYS[3], KEYS[4], KEYS[5])
redis.call('HSET', KEYS[1], 'created', ARGV[6], 'version', ARGV[7], 'record', ARGV[8], 'numbers', 0, 'bans', 0)
keep()
tell(ARGV[5])
return 1

-- Bans a subject; one who is banned already stays so as the first ban says.
-- KEYS: room, numbers, bans, stage, tombstone, home
-- ARGV: node, epoch or '', expiry, channel, message, 6 subject, 7 ban
-- Returns 1, 0 was banned already, -2 room not found, -4 not home
-- include common.lua
if redis.call('EXISTS', KEYS[1]) == 0 then return ROOM_NOT_FOUND end
if refused() then return NOT_HOME end
if redis.call('HSETNX', KEYS[3], ARGV[6], ARGV[7]) == 0 then return 0 end
redis.call('HINCRBY', KEYS[1], 'bans', 1)
keep()
tell(ARGV[5])
return 1

-- As much of a room as tells whether somebody's copy is the latest.
-- KEYS: room, numbers, bans, stage, tombstone, home
-- ARGV: none
-- Returns created (ms) or null, version, count of changes to bans, stage epoch, stage version, tombstone, highest number given
local room = redis.call('HMGET', KEYS[1], 'created', 'version', 'bans', 'numbers')
local stage = redis.call('HMGET', KEYS[4], 'epoch', 'version')
return { room[1], room[2], room[3], stage[1], stage[2], redis.call('GET', KEYS[5]), room[4] }

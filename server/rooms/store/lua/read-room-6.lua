-- Everything that Redis has of a room.
-- KEYS: room, numbers, bans, stage, tombstone, home
-- ARGV: none
-- Returns record or null, numbers (flat: subject, number, …), bans (list), stage epoch, roster, count of changes to bans, tombstone, home epoch
local room = redis.call('HMGET', KEYS[1], 'record', 'bans')
local stage = redis.call('HMGET', KEYS[4], 'epoch', 'roster')
return {
	room[1], redis.call('HGETALL', KEYS[2]), redis.call('HVALS', KEYS[3]), stage[1], stage[2], room[2],
	redis.call('GET', KEYS[5]), redis.call('HGET', KEYS[6], 'epoch'),
}

-- The number of a person in a room: the old one, or the next.
-- KEYS: room, numbers, bans, stage, tombstone, home
-- ARGV: node, epoch or '', expiry, channel, unused, 6 room id, 7 subject
-- Returns the number, -2 room not found, -4 not home
-- include common.lua
if redis.call('EXISTS', KEYS[1]) == 0 then return ROOM_NOT_FOUND end
local known = redis.call('HGET', KEYS[2], ARGV[7])
if known then return tonumber(known) end
if refused() then return NOT_HOME end
local number = redis.call('HINCRBY', KEYS[1], 'numbers', 1)
redis.call('HSET', KEYS[2], ARGV[7], number)
keep()
tell(cjson.encode({ kind = 'number', node = ARGV[1], roomId = ARGV[6], subject = ARGV[7], number = number }))
return number

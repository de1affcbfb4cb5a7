-- Removes a room with its bans, numbers and stage, and leaves a tombstone: nodes that have missed this must not bring it back.
-- KEYS: room, numbers, bans, stage, tombstone, home
-- ARGV: node, epoch or '', expiry, channel, unused, 6 room id, 7 when the room that is meant was made (ms), or '' for any
-- Returns 1 removed, 0 there was none (or only one made later), -4 not home
-- include common.lua
local stored = redis.call('HGET', KEYS[1], 'created')
if refused() then return NOT_HOME end
local created = math.max(tonumber(ARGV[7]) or 0, ARGV[7] == '' and tonumber(stored or '0') or 0)
if created == 0 then return 0 end
local tombstone = tonumber(redis.call('GET', KEYS[5]) or '0')
redis.call('SET', KEYS[5], string.format('%.0f', math.max(created, tombstone)), 'PX', ARGV[3])
if not stored or tonumber(stored) > created then return 0 end
redis.call('DEL', KEYS[1], KEYS[2], KEYS[3], KEYS[4])
tell(cjson.encode({ kind = 'removed', node = ARGV[1], roomId = ARGV[6], createdAtMs = tonumber(stored) }))
return 1

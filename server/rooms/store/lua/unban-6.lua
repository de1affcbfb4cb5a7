-- Lifts a ban.
-- KEYS: room, numbers, bans, stage, tombstone, home
-- ARGV: node, epoch or '', expiry, channel, message, 6 subject
-- Returns 1, 0 there was none, -4 not home
-- include common.lua
if redis.call('HEXISTS', KEYS[3], ARGV[6]) == 0 then return 0 end
if refused() then return NOT_HOME end
redis.call('HDEL', KEYS[3], ARGV[6])
redis.call('HINCRBY', KEYS[1], 'bans', 1)
keep()
tell(ARGV[5])
return 1

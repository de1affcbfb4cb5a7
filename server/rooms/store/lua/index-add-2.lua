-- Puts rooms into the list of all rooms.
-- KEYS: index, times
-- ARGV: 1 expiry in ms, then room ids
-- Returns 1
local time = redis.call('TIME')
local nowMs = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
for index = 2, #ARGV do
	redis.call('ZADD', KEYS[1], 0, ARGV[index])
	redis.call('HSET', KEYS[2], ARGV[index], nowMs)
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
redis.call('PEXPIRE', KEYS[2], ARGV[1])
return 1

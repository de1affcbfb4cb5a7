-- Takes rooms out of the list that were found to be gone, unless they were put into it lately: a room is listed before it is made.
-- KEYS: index, times
-- ARGV: 1 age in ms from which on an entry may go, then room ids
-- Returns how many went
local time = redis.call('TIME')
local limitMs, gone = time[1] * 1000 + math.floor(time[2] / 1000) - tonumber(ARGV[1]), 0
for index = 2, #ARGV do
	local at = redis.call('HGET', KEYS[2], ARGV[index])
	if not at or tonumber(at) < limitMs then
		gone = gone + redis.call('ZREM', KEYS[1], ARGV[index])
		redis.call('HDEL', KEYS[2], ARGV[index])
	end
end
return gone

-- Says goodbye for a node: its report is replaced by a farewell, so that others need not wait for its silence.
-- KEYS    1 reports: hash node -> '<written at, ms> <incarnation> <beat> <report>'; without a report for a node that left
-- ARGV    1 node  2 incarnation  3 how long the reports are kept when all nodes are gone, ms
-- Returns 1 when it is said, 0 when another process has this node's name by now
local entry = redis.call('HGET', KEYS[1], ARGV[1])
if entry and string.match(entry, '^%d+ (%S+) ') ~= ARGV[2] then
	return 0
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[1], ARGV[1], string.format('%d', now) .. ' ' .. ARGV[2] .. ' 0 ')
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1

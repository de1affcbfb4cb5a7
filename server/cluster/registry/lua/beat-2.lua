-- Writes a node's heartbeat and reads everybody's.
-- KEYS    1 reports: hash node -> '<written at, ms> <incarnation> <beat> <report>'; without a report for a node that left
--         2 generation: random id, made once
-- ARGV    1 node  2 incarnation  3 beat  4 report (JSON)  5 how long a report counts, ms  6 an id, in case there is no generation
--         7 how long the reports are kept when all nodes are gone, ms  8 how long the generation is, ms
-- Returns {generation, 1 when it was made by this call, incarnation of another process with this node's name or '', now in ms,
--         node, incarnation, report or '' when it left, node, ...}
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local keep = tonumber(ARGV[5])
local made = redis.call('SET', KEYS[2], ARGV[6], 'NX', 'PX', ARGV[8])
if not made then
	redis.call('PEXPIRE', KEYS[2], ARGV[8])
end
local reply = {redis.call('GET', KEYS[2]), made and 1 or 0, '', now}
local write = true
local entries = redis.call('HGETALL', KEYS[1])
for i = 1, #entries, 2 do
	local node = entries[i]
	local at, incarnation, beat, report = string.match(entries[i + 1], '^(%d+) (%S+) (%d+) (.*)$')
	local age = at and now - tonumber(at)
	-- An age below zero is a clock that was set back, or another server's.
	if not at or age > keep or age < -keep then
		redis.call('HDEL', KEYS[1], node)
	elseif node ~= ARGV[1] then
		reply[#reply + 1] = node
		reply[#reply + 1] = incarnation
		reply[#reply + 1] = report
	elseif incarnation ~= ARGV[2] then
		reply[3] = report ~= '' and incarnation or ''
	-- An older one that was on its way for longer, or one after the farewell, says nothing new.
	elseif report == '' or tonumber(beat) >= tonumber(ARGV[3]) then
		write = false
	end
end
if write then
	redis.call('HSET', KEYS[1], ARGV[1], string.format('%d', now) .. ' ' .. ARGV[2] .. ' ' .. ARGV[3] .. ' ' .. ARGV[4])
end
redis.call('PEXPIRE', KEYS[1], ARGV[7])
return reply

-- All records of a kind, unless nothing has changed since the caller looked last.
-- KEYS    1 hash: id -> 'version untilMs text'  2 string: changes with each change
-- ARGV    1 the mark the caller has, or ''  2 now, ms  3 how long they are kept when no node looks any more, ms
-- Returns the mark ('' when there are no records), then, if it is another one than the caller's, id and record by turns
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
local mark = redis.call('GET', KEYS[2]) or ''
local reply = { mark }
if mark ~= '' and mark == ARGV[1] then return reply end
local flat, now = redis.call('HGETALL', KEYS[1]), tonumber(ARGV[2])
for index = 1, #flat, 2 do
	local untilMs = tonumber(string.match(flat[index + 1], '^%d+ (%d+) '))
	if untilMs and untilMs > now then
		reply[#reply + 1] = flat[index]
		reply[#reply + 1] = flat[index + 1]
	else
		redis.call('HDEL', KEYS[1], flat[index])
	end
end
return reply

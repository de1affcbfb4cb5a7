-- Writes a whole room as a node knows it, unless Redis has a newer one or knows that it was removed. The home's word on
-- the version it has, on numbers and on bans replaces what is there; another node's only adds to it.
-- KEYS: room, numbers, bans, stage, tombstone, home
-- ARGV: node, epoch or '', expiry, channel, message, 6 created (ms), 7 version, 8 record,
--       9 count of numbers, then subject and number of each, then count of bans, then subject and ban of each
-- Returns 1 something changed, 0 nothing to do or Redis has a newer one, -4 not home, -5 removed
-- include common.lua
local function pairsFrom(at)
	local list = {}
	for index = 1, tonumber(ARGV[at]) do list[index] = { ARGV[at + 2 * index - 1], ARGV[at + 2 * index] } end
	return list, at + 2 * #list + 1
end

-- A hash as a table, and how many members it has.
local function stored(key)
	local flat, found = redis.call('HGETALL', key), {}
	for index = 1, #flat, 2 do found[flat[index]] = flat[index + 1] end
	return found, #flat / 2
end

local isHome = ARGV[2] ~= ''
if isHome and refused() then return NOT_HOME end
local created, version = tonumber(ARGV[6]), tonumber(ARGV[7])
local tombstone = redis.call('GET', KEYS[5])
if tombstone and created <= tonumber(tombstone) then return REMOVED end

local before = redis.call('HMGET', KEYS[1], 'created', 'version', 'record')
local theirs = { created = tonumber(before[1] or '0'), version = tonumber(before[2] or '0') }
if theirs.created > created or (theirs.created == created and theirs.version > version) then return 0 end
local changed = theirs.created < created or theirs.version < version or (isHome and before[3] ~= ARGV[8])
if theirs.created < created then redis.call('DEL', KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]) end
if changed then redis.call('HSET', KEYS[1], 'created', ARGV[6], 'version', ARGV[7], 'record', ARGV[8]) end

local numbers, next = pairsFrom(9)
local bans = pairsFrom(next)
local function put(key, list, taken)
	local there, count = stored(key)
	local same = count == #list
	for _, entry in ipairs(list) do same = same and there[entry[1]] == entry[2] end
	if same then return false end
	if isHome then
		redis.call('DEL', key)
		there = {}
	end
	local added = isHome
	for _, entry in ipairs(list) do
		if not there[entry[1]] and not (taken and taken[entry[2]]) then
			redis.call('HSET', key, entry[1], entry[2])
			added = true
		end
	end
	return added
end

local taken, highest = {}, tonumber(redis.call('HGET', KEYS[1], 'numbers') or '0')
for _, number in pairs(isHome and {} or (stored(KEYS[2]))) do taken[number] = true end
for _, entry in ipairs(numbers) do highest = math.max(highest, tonumber(entry[2])) end
if put(KEYS[2], numbers, taken) then changed = true end
redis.call('HSET', KEYS[1], 'numbers', highest)
if put(KEYS[3], bans) then
	redis.call('HINCRBY', KEYS[1], 'bans', 1)
	changed = true
else
	redis.call('HSETNX', KEYS[1], 'bans', 0)
end
keep()
if not changed then return 0 end
tell(ARGV[5])
return 1

-- The mark that this Redis still has what it had: made once, and gone with everything else.
-- KEYS: generation
-- ARGV: 1 a new mark, 2 expiry in ms
-- Returns the mark
if not redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return redis.call('GET', KEYS[1])

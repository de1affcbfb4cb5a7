-- All signing keys that the nodes share, and a longer life for them.
-- KEYS    1 hash: key id -> sealed key, or sealed word that it was retired
-- ARGV    1 how long they are kept when no node looks any more, ms
-- Returns key id and sealed by turns
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return redis.call('HGETALL', KEYS[1])

import type { RedisServer } from './redis-server.ts';

/** Keys that would stay for ever. */
export async function keysWithoutExpiry(server: RedisServer): Promise<string[]> {
	const lua = "local kept = {} for _, key in ipairs(redis.call('KEYS', '*')) do if redis.call('PTTL', key) == -1 then kept[#kept + 1] = key end end return kept";
	return (await server.cli('EVAL', lua, '0')).split('\n').filter((line) => line !== '');
}

import type { RedisServer } from '../redis/redis-server.ts';

/** Commands that Redis has been asked, by name; this very question left out. Calls inside of scripts count, too. */
export async function commandCounts(redis: RedisServer): Promise<Record<string, number>> {
	const text = await redis.cli('INFO', 'commandstats');
	const counts: Record<string, number> = {};
	for (const [, name = '', calls] of text.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm)) {
		if (name !== 'info' && name !== 'command|docs') {
			counts[name] = Number(calls);
		}
	}
	return counts;
}

/** What was asked between the two, without the zeros. */
export function difference(before: Record<string, number>, after: Record<string, number>): Record<string, number> {
	const counts = Object.entries(after).map(([name, calls]) => [name, calls - (before[name] ?? 0)] as const);
	return Object.fromEntries(counts.filter(([, calls]) => calls > 0));
}

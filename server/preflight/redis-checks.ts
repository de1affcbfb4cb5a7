import { type Check, failed, ok, warning } from './check.ts';

/** The part of `RedisConnection` that is asked. */
export interface RedisProbe {
	readonly answers: boolean;
	call(name: 'ping' | 'time' | 'info'): Promise<unknown>;
}

export interface RedisFindings {
	checks: Check[];
	/** By how much this node's clock is ahead of Redis, in ms; undefined when that could not be told. */
	clockAheadMs: number | undefined;
}

const PINGS = 50;
const SLOW_MS = 20;
/** A heartbeat is due every 500 ms; an answer that takes half of that makes leases shaky. */
const TOO_SLOW_MS = 250;

/** Redis as this node sees it: how fast it answers, and whether it keeps what it is given. */
export async function redisChecks(redis: RedisProbe, now: () => number): Promise<RedisFindings> {
	try {
		const pings: number[] = [];
		for (let ping = 0; ping < PINGS; ping++) {
			const askedAt = performance.now();
			await redis.call('ping');
			pings.push(performance.now() - askedAt);
		}
		const p99Ms = pings.toSorted((a, b) => a - b)[Math.ceil(PINGS * 0.99) - 1] ?? 0;
		return { checks: [latency(p99Ms), await policy(redis)], clockAheadMs: await clockAhead(redis, now) };
	} catch (error) {
		const reason = error instanceof Error ? error.message : String(error);
		return {
			checks: [failed('redis', `Redis does not answer this node: ${reason}`, 'Check that Redis runs and that this node reaches it; until then what goes on goes on, but no room can be taken over.')],
			clockAheadMs: undefined,
		};
	}
}

function latency(p99Ms: number): Check {
	const said = `Redis answers in ${p99Ms.toFixed(1)} ms at the 99th percentile of ${PINGS} pings.`;
	const advice = 'Put Redis nearer to the nodes, or give it a processor of its own.';
	return p99Ms > TOO_SLOW_MS ? failed('redis', said, advice) : p99Ms > SLOW_MS ? warning('redis', said, advice) : ok('redis', said);
}

async function policy(redis: RedisProbe): Promise<Check> {
	const answer = await redis.call('info').catch(() => undefined);
	return typeof answer === 'string' ? judgePolicy(answer) : ok('redis_policy', 'This Redis does not tell how it is set up.');
}

/** Out of Redis' own words (INFO): what it does when its memory is full, whether it is a master, whether it survives a restart. */
export function judgePolicy(info: string): Check {
	const check = 'redis_policy';
	const said = (name: string) => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1];
	if (said('role') === 'slave') {
		return failed(check, 'This Redis is a replica: it takes no writes.', 'Point REDIS_URL at the master, or at the Sentinels.');
	}
	const eviction = said('maxmemory_policy');
	if (eviction !== undefined && eviction !== 'noeviction') {
		const advice = 'Set maxmemory-policy noeviction: Rostrum keeps a few megabytes there and needs all of them.';
		const limited = said('maxmemory') !== '0';
		return limited
			? failed(check, `When its memory is full, this Redis drops keys (${eviction}): rooms and leases would vanish in mid-event.`, advice)
			: warning(check, `This Redis would drop keys (${eviction}) if it had a limit of memory.`, advice);
	}
	if (said('aof_enabled') === '0' && said('rdb_last_save_time') !== undefined) {
		return warning(
			check,
			'This Redis does not write every change to its disk (appendonly no): after a restart of it the nodes write their rooms again.',
			'Set appendonly yes, so that rooms survive even when the nodes are restarted with it.',
		);
	}
	return ok(check, 'Redis is a master, evicts nothing and keeps what it is given.');
}

/** Its time less ours, in the middle between question and answer. */
async function clockAhead(redis: RedisProbe, now: () => number): Promise<number | undefined> {
	const askedAt = now();
	const answer = await redis.call('time').catch(() => undefined);
	if (!Array.isArray(answer)) {
		return undefined;
	}
	const [seconds, microseconds] = answer.map(Number);
	const theirs = (seconds ?? Number.NaN) * 1_000 + (microseconds ?? Number.NaN) / 1_000;
	return Number.isFinite(theirs) ? (askedAt + now()) / 2 - theirs : undefined;
}

import type { NodeReport } from '../node-report.ts';
import type { RedisConnection } from '../redis/redis-connection.ts';
import { asInteger, asList, asText, redisScript } from '../redis/redis-script.ts';
import { type HeartbeatRound, type HeartbeatStore, REPORT_TTL_MS } from './heartbeat-store.ts';

const BEAT = redisScript(new URL('lua/beat-2.lua', import.meta.url), readRound);
const LEAVE = redisScript(new URL('lua/leave-1.lua', import.meta.url), asInteger);

const REPORTS_TTL_MS = 60_000;
const GENERATION_TTL_MS = 400 * 86_400_000;

/** Heartbeats in Redis: one hash, one script a beat. */
export class RedisHeartbeatStore implements HeartbeatStore {
	readonly #redis: Pick<RedisConnection, 'run' | 'keys'>;
	readonly #randomId: () => string;

	/** @param randomId names a generation, e.g. node:crypto's `randomUUID` */
	constructor(redis: Pick<RedisConnection, 'run' | 'keys'>, randomId: () => string) {
		this.#redis = redis;
		this.#randomId = randomId;
	}

	beat(report: NodeReport): Promise<HeartbeatRound> {
		const { keys } = this.#redis;
		return this.#redis.run(
			BEAT,
			[keys.nodes, keys.ofNodes('generation')],
			[report.nodeId, report.incarnation, report.beat, JSON.stringify(report), REPORT_TTL_MS, this.#randomId(), REPORTS_TTL_MS, GENERATION_TTL_MS],
		);
	}

	async leave(nodeId: string, incarnation: string): Promise<void> {
		await this.#redis.run(LEAVE, [this.#redis.keys.nodes], [nodeId, incarnation, REPORTS_TTL_MS]);
	}
}

function readRound(reply: unknown): HeartbeatRound {
	const [generation, fresh, rival, now, ...entries] = asList(reply);
	const round: HeartbeatRound = {
		reports: [],
		left: [],
		generation: asText(generation) ?? '',
		nowMs: asInteger(now),
		fresh: asInteger(fresh) === 1,
		rival: asText(rival) || undefined,
	};
	for (let index = 0; index + 2 < entries.length; index += 3) {
		const text = asText(entries[index + 2]) ?? '';
		if (text === '') round.left.push({ nodeId: asText(entries[index]) ?? '', incarnation: asText(entries[index + 1]) ?? '' });
		else round.reports.push(parsed(text));
	}
	return round;
}

/** What cannot be read is no report; the registry says so. */
function parsed(text: string): unknown {
	try {
		return JSON.parse(text);
	} catch {
		return text;
	}
}

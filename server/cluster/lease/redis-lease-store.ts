import { ROOM_TTL_MS } from '../redis/keys.ts';
import type { RedisConnection } from '../redis/redis-connection.ts';
import { asInteger, asList, asText, redisScript } from '../redis/redis-script.ts';
import { type Claim, type ClaimResult, LEASE_TTL_MS, type LeaseHolder, type LeaseStore, type Renewal, type RenewResult } from './lease-store.ts';

const CLAIM = redisScript(new URL('lua/claim-1.lua', import.meta.url), readClaim);
const RENEW = redisScript(new URL('lua/renew-3.lua', import.meta.url), readRenewal);
const RELEASE = redisScript(new URL('lua/release-1.lua', import.meta.url), (reply) => asInteger(reply) === 1);

/** Leases in Redis: a hash for each room, changed by scripts alone, timed by the server's clock. */
export class RedisLeaseStore implements LeaseStore {
	readonly ttlMs: number;
	readonly #redis: Pick<RedisConnection, 'run' | 'keys'>;

	/** @param ttlMs default 2,000 */
	constructor(redis: Pick<RedisConnection, 'run' | 'keys'>, ttlMs = LEASE_TTL_MS) {
		this.#redis = redis;
		this.ttlMs = ttlMs;
	}

	claim({ nodeId, incarnation }: LeaseHolder, { roomId, knownEpoch, notAfterMs }: Claim): Promise<ClaimResult> {
		return this.#redis.run(CLAIM, [this.#redis.keys.home(roomId)], [nodeId, incarnation, knownEpoch, this.ttlMs, ROOM_TTL_MS, notAfterMs]);
	}

	renew({ nodeId, incarnation }: LeaseHolder, { roomId, epoch, reclaimUntilMs }: Renewal): Promise<RenewResult> {
		const { keys } = this.#redis;
		const args = [nodeId, incarnation, epoch, this.ttlMs, ROOM_TTL_MS, reclaimUntilMs];
		return this.#redis.run(RENEW, [keys.home(roomId), keys.room(roomId), keys.stage(roomId)], args);
	}

	release({ nodeId, incarnation }: LeaseHolder, roomId: string, epoch: number): Promise<boolean> {
		return this.#redis.run(RELEASE, [this.#redis.keys.home(roomId)], [nodeId, incarnation, epoch, ROOM_TTL_MS]);
	}
}

function readClaim(reply: unknown): ClaimResult {
	const [outcome, epoch, ms, nodeId] = asList(reply);
	if (outcome === 'late') return 'late';
	if (outcome === 'refused') return { taken: false, nodeId: asText(nodeId) ?? '', epoch: asInteger(epoch), remainingMs: asInteger(ms) };
	return { taken: true, epoch: asInteger(epoch), untilMs: asInteger(ms), previous: asText(nodeId) || undefined };
}

function readRenewal(reply: unknown): RenewResult {
	const [state, first, room, stage] = asList(reply);
	if (state === 'missing') return { state, nowMs: asInteger(first) };
	if (state === 'lost') return { state, epoch: asInteger(first) };
	const version = (value: unknown): number | undefined => (asInteger(value) < 0 ? undefined : asInteger(value));
	return { state: 'held', untilMs: asInteger(first), stored: { roomVersion: version(room), stageVersion: version(stage) } };
}

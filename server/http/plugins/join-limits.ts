import { BlockList, isIP, isIPv6 } from 'node:net';
import rateLimit from '@fastify/rate-limit';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Config } from '../../../config/schema.ts';
import { forwardingOf } from '../../cluster/peers/forwarded.ts';
import { DomainError } from '../../errors.ts';

/** Joins are counted in windows of this length. */
const WINDOW_MS = 10_000;
/** Addresses and tokens that are remembered at once, the latest: 100 bytes each. */
const REMEMBERED = 20_000;

/** Counts a request as a join of its address and token. Rejects with DomainError `rate_limited`. */
export type JoinLimit = (request: FastifyRequest) => Promise<void>;

/**
 * Keeps one source from taking the pace of all: joins an address and a token may begin in ten seconds. The address is Fastify's,
 * so `http.trustProxy` decides whether a header counts; of IPv6 it is the /64, which is what one
 * subscriber has. What other nodes forward was counted there.
 */
export async function registerJoinLimits(app: FastifyInstance, limits: Config['admission'] | undefined, random: () => number): Promise<JoinLimit | undefined> {
	if (limits === undefined) return undefined;
	await app.register(rateLimit, { global: false });
	const unlimited = blockListOf(limits.unlimitedAddresses);
	const options = { timeWindow: WINDOW_MS, cache: REMEMBERED };
	const ofAddress = app.createRateLimit({ ...options, max: limits.joinsPerAddress, keyGenerator: ({ ip }) => subscriberOf(ip) });
	const ofToken = app.createRateLimit({ ...options, max: limits.joinsPerToken, keyGenerator: ({ principal }) => `${principal?.issuer}\n${principal?.tokenId}` });
	const count = async (limit: typeof ofAddress, request: FastifyRequest, who: string): Promise<void> => {
		const result = await limit(request);
		if (result.isAllowed || !result.isExceeded) return;
		// Those who share an address must not all come back when the window ends.
		throw new DomainError('rate_limited', `This ${who} begins more joins in ten seconds than it may`, {
			extra: { reason: who },
			retryAfterSeconds: (result.ttl + random() * WINDOW_MS) / 1000,
		});
	};
	return async (request) => {
		if (forwardingOf(request.raw) !== undefined) return;
		if (!unlimited.check(request.ip, isIPv6(request.ip) ? 'ipv6' : 'ipv4')) await count(ofAddress, request, 'address');
		if (request.principal !== null) await count(ofToken, request, 'token');
	};
}

/** @throws RangeError for what is neither an address nor a range */
export function blockListOf(addresses: readonly string[]): BlockList {
	const list = new BlockList();
	for (const entry of addresses) {
		const [address = '', prefix] = entry.split('/');
		const version = isIP(address);
		const bits = prefix === undefined ? undefined : Number(prefix);
		if (version === 0 || (bits !== undefined && bits > (version === 4 ? 32 : 128))) {
			throw new RangeError(`admission.unlimitedAddresses: ${entry} is neither an address nor a range`);
		}
		const family = version === 4 ? 'ipv4' : 'ipv6';
		if (bits === undefined) list.addAddress(address, family);
		else list.addSubnet(address, bits, family);
	}
	return list;
}

/** An IPv4 address, mapped or not; of an IPv6 address its first 64 bits. */
export function subscriberOf(ip: string): string {
	if (!ip.includes(':')) return ip;
	const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(ip)?.[1];
	if (mapped !== undefined) return mapped;
	const [front = '', back] = ip.toLowerCase().split('%', 1)[0]!.split('::');
	const groups = front === '' ? [] : front.split(':');
	if (back !== undefined) {
		const behind = back === '' ? [] : back.split(':');
		while (groups.length + behind.length < 8) groups.push('0');
		groups.push(...behind);
	}
	return groups.slice(0, 4).map((group) => group.replace(/^0+(?=.)/, '')).join(':');
}

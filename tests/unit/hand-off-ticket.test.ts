import { decodeJwt, SignJWT } from 'jose';
import { beforeEach, describe, expect, it } from 'vitest';
import { deriveClusterKeys } from '../../auth/cluster-keys.ts';
import { ClusterTokens } from '../../auth/cluster-token.ts';
import { HandOffTickets } from '../../auth/hand-off-ticket.ts';

const keys = deriveClusterKeys('one-secret-that-all-nodes-of-a-cluster-share');
const otherKeys = deriveClusterKeys('one-secret-that-all-nodes-of-a-cluster-sharf');
const NOW_S = 1_780_000_000;
let nowMs: number;
let ids: number;
const now = () => nowMs;
const at = (nodeId: string, secretKeys = keys) => new HandOffTickets({ keys: secretKeys, nodeId, now, newId: () => `ticket-${++ids}` });

beforeEach(() => {
	nowMs = NOW_S * 1000;
	ids = 0;
});

describe('a hand-off ticket', () => {
	it('lets one listener into one room of one node, once', async () => {
		const ticket = await at('a').issue('launch', 'b');
		const node = at('b');
		expect(await node.redeem(ticket, 'launch')).toEqual({ from: 'a', random: expect.stringMatching(/^[0-9a-f]{32}$/) as string });
		await expect(node.redeem(ticket, 'launch')).rejects.toMatchObject({ reason: 'used' });
	});

	it('is for one session, whose id nobody can read from it', async () => {
		const ticket = await at('a').issue('launch', 'b');
		const { random } = await at('b').redeem(ticket, 'launch');
		expect((await at('b').redeem(ticket, 'launch')).random).toBe(random);
		expect(JSON.stringify(decodeJwt(ticket))).not.toContain(random);
		expect((await at('b').redeem(await at('a').issue('launch', 'b'), 'launch')).random).not.toBe(random);
	});

	it('of two requests with the same one, one wins', async () => {
		const ticket = await at('a').issue('launch', 'b');
		const node = at('b');
		const outcomes = await Promise.allSettled([node.redeem(ticket, 'launch'), node.redeem(ticket, 'launch')]);
		expect(outcomes.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
	});

	it('is remembered as used for as long as it would be taken', async () => {
		const ticket = await at('a').issue('launch', 'b');
		const node = at('b');
		await node.redeem(ticket, 'launch');
		for (let seconds = 1; seconds < 60; seconds++) {
			nowMs += 1_000;
			// Others come meanwhile, which is when old ones are forgotten.
			await node.redeem(await at('a').issue('launch', 'b'), 'launch');
			await expect(node.redeem(ticket, 'launch')).rejects.toMatchObject({ reason: seconds < 35 ? 'used' : 'expired' });
		}
	});

	const claims = { iss: 'a', sub: 'b', aud: 'rostrum:hand-off', iat: NOW_S, exp: NOW_S + 30, jti: 'x', room: 'launch' };
	const sign = (payload: object, key = keys.handOff) => new SignJWT({ ...payload }).setProtectedHeader({ alg: 'HS256' }).sign(key);
	it('made by hand as it should be is good, so that the refusals below are for what they say', async () => {
		await expect(at('b').redeem(await sign(claims), 'launch')).resolves.toMatchObject({ from: 'a' });
	});
	it.each<[string, string, () => Promise<string> | string]>([
		['for another room', 'other_room', () => at('a').issue('finale', 'b')],
		['for another node', 'other_node', () => at('a').issue('launch', 'c')],
		['for the node that made it', 'other_node', () => at('a').issue('launch', 'a')],
		['of another cluster', 'forged', () => at('a', otherKeys).issue('launch', 'b')],
		['that is a cluster token', 'forged', () => new ClusterTokens({ keys, nodeId: 'a', now }).current()],
		['signed with the key of cluster tokens', 'forged', () => sign(claims, keys.token)],
		['for another audience', 'forged', () => sign({ ...claims, aud: 'rostrum:cluster' })],
		['that lives too long', 'forged', () => sign({ ...claims, exp: NOW_S + 31 })],
		['with another ending', 'forged', async () => `${(await sign(claims)).slice(0, -4)}AAAA`],
		['that was changed', 'forged', async () => (await sign(claims)).replace(/\.[^.]+\./, `.${Buffer.from(JSON.stringify({ ...claims, room: 'finale' })).toString('base64url')}.`)],
		['unsigned', 'forged', () => `${Buffer.from('{"alg":"none"}').toString('base64url')}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.`],
		['that has expired', 'expired', () => sign({ ...claims, iat: NOW_S - 35, exp: NOW_S - 5 })],
		['without an id', 'malformed', () => sign({ ...claims, jti: undefined })],
		['without a room', 'malformed', () => sign({ ...claims, room: undefined })],
		['without a sender', 'malformed', () => sign({ ...claims, iss: undefined })],
		['that is no ticket', 'malformed', () => 'abc'],
		['that is very long', 'malformed', () => `${'a'.repeat(2_000)}.b.c`],
	])('%s is refused as %s, and not used up by that', async (_, reason, make) => {
		const node = at('b');
		const ticket = await make();
		await expect(node.redeem(ticket, 'launch')).rejects.toMatchObject({ reason });
		await expect(node.redeem(ticket, 'launch')).rejects.toMatchObject({ reason });
	});
});

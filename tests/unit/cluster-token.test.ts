import { generateKeyPair, SignJWT } from 'jose';
import { beforeEach, describe, expect, it } from 'vitest';
import { AuthError } from '../../auth/auth-error.ts';
import { deriveClusterKeys } from '../../auth/cluster-keys.ts';
import { ClusterTokens } from '../../auth/cluster-token.ts';
import { HandOffTickets } from '../../auth/hand-off-ticket.ts';

const keys = deriveClusterKeys('one-secret-that-all-nodes-of-a-cluster-share');
const otherKeys = deriveClusterKeys('one-secret-that-all-nodes-of-a-cluster-sharf');
const NOW_S = 1_780_000_000;
let nowMs: number;
const now = () => nowMs;
const at = (nodeId: string, secretKeys = keys) => new ClusterTokens({ keys: secretKeys, nodeId, now });

beforeEach(() => {
	nowMs = NOW_S * 1000;
});

describe('a cluster token', () => {
	it('tells any node who made it', async () => {
		expect(await at('node-b').verify(await at('node-a').current())).toBe('node-a');
		expect(await at('node-a').verify(await at('node-a').current())).toBe('node-a');
	});

	it('is made anew every ten seconds, and when the clock was set back', async () => {
		const tokens = at('node-a');
		const first = await tokens.current();
		nowMs += 9_999;
		expect(await tokens.current()).toBe(first);
		nowMs += 1;
		const second = await tokens.current();
		expect(second).not.toBe(first);
		nowMs -= 60_000;
		expect(await at('node-b').verify(await tokens.current())).toBe('node-a');
	});

	it.each([
		[29_000, true],
		[34_000, true],
		[35_000, false],
		[3_600_000, false],
		[-5_000, true],
		[-6_000, false],
	])('%i ms after it was made counts: %s', async (ms, good) => {
		const token = await at('node-a').current();
		nowMs += ms;
		const verified = at('node-b').verify(token);
		await (good ? expect(verified).resolves.toBe('node-a') : expect(verified).rejects.toThrow(AuthError));
	});

	const claims = { iss: 'node-a', sub: 'node-a', aud: 'rostrum:cluster', iat: NOW_S, exp: NOW_S + 30 };
	const sign = (payload: object, alg = 'HS256', key: Parameters<SignJWT['sign']>[0] = keys.token) => new SignJWT({ ...payload }).setProtectedHeader({ alg }).sign(key);
	it('made by hand as it should be is good, so that the refusals below are for what they say', async () => {
		expect(await at('node-b').verify(await sign(claims))).toBe('node-a');
	});
	it.each<[string, () => Promise<string> | string]>([
		['of another cluster', () => at('node-a', otherKeys).current()],
		['that is a hand-off ticket', () => new HandOffTickets({ keys, nodeId: 'node-a', now, newId: () => 'id' }).issue('room', 'node-b')],
		['signed with the key of tickets', () => sign(claims, 'HS256', keys.handOff)],
		['signed with nothing', () => `${Buffer.from('{"alg":"none"}').toString('base64url')}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.`],
		['signed with a key pair', async () => sign(claims, 'EdDSA', (await generateKeyPair('EdDSA')).privateKey)],
		['for another audience', () => sign({ ...claims, aud: 'rostrum:hand-off' })],
		['without audience', () => sign({ ...claims, aud: undefined })],
		['without a sender', () => sign({ ...claims, iss: undefined })],
		['whose sender is no node', () => sign({ ...claims, iss: 'Node A' })],
		['whose sender is no text', () => sign({ ...claims, iss: 7 })],
		['without an end', () => sign({ ...claims, exp: undefined })],
		['without a beginning', () => sign({ ...claims, iat: undefined })],
		['that lives too long', () => sign({ ...claims, exp: NOW_S + 31 })],
		['with another ending', async () => `${(await sign(claims)).slice(0, -4)}AAAA`],
		['that is empty', () => ''],
		['that is no token', () => 'abc'],
		['that is no JSON', () => 'a.b.c'],
		['that is very long', () => `${'a'.repeat(2_000)}.b.c`],
	])('%s is refused', async (_, make) => {
		await expect(at('node-b').verify(await make())).rejects.toThrow(AuthError);
	});
});

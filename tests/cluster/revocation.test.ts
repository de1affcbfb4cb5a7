import { afterAll, beforeAll, expect, it } from 'vitest';
import { LoopbackNodes } from '../support/cluster/loopback-nodes.ts';
import type { RostrumProcess } from '../support/process/rostrum-process.ts';
import { followRoom, issueToken, listenTo, refusalOf, revoke } from '../support/sessions.ts';

const EFFECTIVE_MS = 2_000;
let nodes: LoopbackNodes;
beforeAll(async () => {
	nodes = await LoopbackNodes.start({ basePort: 23_000, count: 2 });
}, 120_000);
afterAll(() => nodes?.stop());

const refusedOn = (node: RostrumProcess, room: string, token: string, timeout = EFFECTIVE_MS) => expect.poll(() => refusalOf(node, room, token), { timeout, interval: 20 }).toBe('token_revoked');

it('a token that was revoked at one node counts at none, with Redis and without, for a node that slept, and for an empty Redis', async () => {
	const [a, b] = [nodes.node('node-a'), nodes.node('node-b')];
	const room = await a.room({ id: 'shared', visibility: 'private' });
	const tokens = await Promise.all(['ann', 'bob', 'cleo'].map((subject) => issueToken(a, room, 'listener', subject)));
	const [ann, bob, cleo] = tokens;
	await expect.poll(() => refusalOf(b, room, ann!.token), { timeout: 10_000 }).toBe('ok');
	// What is open at the other node ends, too.
	const stream = await followRoom(b, room, ann!.token);
	await stream.opened;
	const listener = await listenTo(b, room, ann!.token);

	await revoke(a, { tokenId: ann!.tokenId });
	await Promise.all([refusedOn(a, room, ann!.token), refusedOn(b, room, ann!.token)]);
	expect(await stream.ended).toContain('"reason":"token_revoked"');
	await listener.closed();
	listener.close();

	await nodes.redis.kill();
	await revoke(b, { subject: bob!.subject });
	await Promise.all([refusedOn(a, room, bob!.token), refusedOn(b, room, bob!.token)]);
	expect(await refusalOf(a, room, cleo!.token)).toBe('ok');

	await nodes.killNode('node-a');
	await revoke(b, { subject: cleo!.subject });
	await nodes.redis.restart();
	const again = await nodes.startNode('node-a');
	await refusedOn(again, room, ann!.token);
	await refusedOn(again, room, cleo!.token, 15_000);
	expect((await again.json<{ revocations: unknown[] }>('GET', '/v1/admin/tokens/revoke')).revocations).toHaveLength(3);
}, 180_000);

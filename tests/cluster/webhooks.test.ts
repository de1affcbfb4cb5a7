import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AuditEntry } from '../../server/audit/audit-entry.ts';
import { LoopbackNodes } from '../support/cluster/loopback-nodes.ts';
import { StageClient } from '../support/stage-client.ts';
import { isSigned, Receiver } from '../support/webhooks/receiver.ts';

let nodes: LoopbackNodes;
let receiver: Receiver;
beforeAll(async () => {
	receiver = await Receiver.start();
	nodes = await LoopbackNodes.start({ basePort: 24_000, count: 3, env: { ROSTRUM_WEBHOOKS_ALLOW_PRIVATE_ADDRESSES: 'true', ROSTRUM_WEBHOOKS_FIRST_RETRY_MS: '50' } });
}, 120_000);
afterAll(async () => {
	await nodes?.stop();
	await receiver?.stop();
});

describe('three nodes', () => {
	it('tell of each thing once, whichever node it was done at, and of the death of one of them', async () => {
		const [a, b, c] = ['node-a', 'node-b', 'node-c'].map((name) => nodes.node(name));
		const { id, secret } = await b!.json<{ id: string; secret: string }>('POST', '/v1/admin/webhooks', { url: receiver.url });
		const room = (await a!.json<{ id: string }>('POST', '/v1/rooms', { id: 'once', title: 'Once', visibility: 'public' })).id;
		await expect.poll(async () => (await c!.call('GET', `/v1/rooms/${room}`)).status, { timeout: 10_000 }).toBe(200);
		// At another node than where it was made, and then at a third one.
		await c!.json('POST', `/v1/rooms/${room}/open`);
		await b!.json('POST', `/v1/rooms/${room}/start`);
		const { token } = await a!.token(room, 'host', 'Hana');
		const stage = await StageClient.connect(a!.url, room, { token });
		await stage.welcome();
		await receiver.next(({ type }) => type === 'stage.joined');
		await stage.request('leave', {});
		await receiver.next(({ type }) => type === 'stage.left');

		// Deliveries of all nodes are seen at any, and so is who did what.
		const listed = await a!.json<{ deliveries: { type: string; node: string }[]; missing: string[] }>('GET', `/v1/admin/webhooks/${id}/deliveries`);
		expect(listed.deliveries.map(({ type }) => type).toSorted()).toEqual(['room.created', 'room.live', 'room.opened', 'stage.joined', 'stage.left']);
		const { entries } = await b!.json<{ entries: AuditEntry[] }>('GET', `/v1/admin/audit?room=${room}`);
		expect(entries.map(({ action }) => action)).toEqual(['token.create', 'room.start', 'room.open', 'room.create']);

		const home = listed.deliveries.find(({ type }) => type === 'stage.joined')!.node;
		const victim = ['node-a', 'node-b', 'node-c'].find((name) => name !== home)!;
		await nodes.killNode(victim);
		const lost = await receiver.next(({ type }) => type === 'node.lost');
		expect(lost.data).toMatchObject({ node: victim });
		await nodes.node(home).json('POST', `/v1/rooms/${room}/end`);
		await receiver.next(({ type }) => type === 'room.ended');

		// Each webhook's own test comes after whatever its node had to tell before.
		for (const node of nodes.running) {
			const { event } = await node.json<{ event: string }>('POST', `/v1/admin/webhooks/${id}/test`);
			await receiver.next((received) => received.id === event);
		}
		const told = receiver.received.filter(({ type }) => type !== 'webhook.test');
		expect(told.map(({ type }) => type).toSorted()).toEqual(['node.lost', 'room.created', 'room.ended', 'room.live', 'room.opened', 'stage.joined', 'stage.left']);
		expect(told.every(({ headers, body }) => isSigned(secret, headers, body))).toBe(true);
	}, 120_000);
});

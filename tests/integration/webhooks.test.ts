import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { RostrumProcess } from '../support/process/rostrum-process.ts';
import { StageClient } from '../support/stage-client.ts';
import { isSigned, Receiver } from '../support/webhooks/receiver.ts';

const MEDIA_PORT = 30_500;
const ALLOWED = { ROSTRUM_WEBHOOKS_ALLOW_PRIVATE_ADDRESSES: 'true', ROSTRUM_WEBHOOKS_FIRST_RETRY_MS: '50', ROSTRUM_ROOMS_DEMO: 'false', ROSTRUM_LISTENER_SHARDS: '1' };

interface Made { id: string; secret: string }
interface Deliveries { deliveries: { id: string; event: string; type: string; state: string; attempts: number; log: { status?: number; error?: string }[] }[] }

const make = (server: RostrumProcess, url: string, more: object = {}) => server.json<Made>('POST', '/v1/admin/webhooks', { url, ...more });
const deliveriesOf = async (server: RostrumProcess, { id }: { id: string }) => (await server.json<Deliveries>('GET', `/v1/admin/webhooks/${id}/deliveries`)).deliveries;

describe('webhooks', () => {
	let server: RostrumProcess;
	let receiver: Receiver;
	beforeAll(async () => {
		server = await RostrumProcess.start({ mediaPort: MEDIA_PORT, env: { ...ALLOWED, ROSTRUM_WEBHOOKS_MAX_ATTEMPTS: '3' } });
	});
	afterAll(() => server?.stop());
	beforeEach(async () => {
		receiver = await Receiver.start();
	});
	afterEach(async () => {
		for (const { id } of (await server.json<{ webhooks: Made[] }>('GET', '/v1/admin/webhooks')).webhooks) await server.call('DELETE', `/v1/admin/webhooks/${id}`);
		await receiver.stop();
	});

	it('tell of a room from its making to its removal, and of who comes on stage, each signed with the secret that was shown', async () => {
		const { secret } = await make(server, receiver.url);
		const room = await server.room({ id: 'told' });
		const { token } = await server.token(room, 'host', 'Hana', { subject: 'hana' });
		const stage = await StageClient.connect(server.url, room, { token });
		await stage.next('welcome');
		await receiver.next(({ type }) => type === 'stage.joined');
		await stage.request('leave', {});
		await receiver.next(({ type }) => type === 'stage.left');
		await server.json('POST', `/v1/rooms/${room}/end`);
		await server.call('DELETE', `/v1/rooms/${room}`);
		await receiver.next(({ type }) => type === 'room.removed');
		await receiver.next(({ type }) => type === 'room.ended');
		expect(receiver.received.map(({ type }) => type).toSorted()).toEqual(
			['room.created', 'room.opened', 'room.live', 'stage.joined', 'stage.left', 'room.ended', 'room.removed'].toSorted(),
		);
		for (const { headers, body, data } of receiver.received) {
			expect(isSigned(secret, headers, body)).toBe(true);
			expect(isSigned(secret, headers, `${body} `)).toBe(false);
			expect(data['room']).toBe(room);
		}
		expect(new Set(receiver.received.map(({ id }) => id)).size).toBe(7);
		expect(receiver.received.find(({ type }) => type === 'stage.joined')?.data).toMatchObject({ subject: 'hana', name: 'Hana', role: 'host' });
	});

	it('tell only of what was asked for', async () => {
		await make(server, receiver.url, { events: ['room.ended'], rooms: ['wanted'] });
		const ids = await Promise.all([server.room({ id: 'other' }), server.room({ id: 'wanted' })]);
		for (const id of ids) await server.json('POST', `/v1/rooms/${id}/end`);
		await receiver.next(() => true);
		// Both were put into the outbox, if at all, before the answers came; the test's own message comes after them.
		const [{ id } = { id: '' }] = (await server.json<{ webhooks: Made[] }>('GET', '/v1/admin/webhooks')).webhooks;
		await server.json('POST', `/v1/admin/webhooks/${id}/test`);
		await receiver.next(({ type }) => type === 'webhook.test');
		expect(receiver.received.map(({ type, data }) => `${type} ${String(data['room'])}`)).toEqual(['room.ended wanted', 'webhook.test undefined']);
	});

	it('are retried with the same id until they are taken', async () => {
		receiver.answer = () => (receiver.received.length < 2 ? 500 : 200);
		const webhook = await make(server, receiver.url, { events: ['room.created'] });
		await server.room({ id: 'retried' }, 'scheduled');
		await receiver.next(({ status }) => status === 200);
		expect(receiver.received.map(({ status }) => status)).toEqual([500, 500, 200]);
		expect(new Set(receiver.received.map(({ id }) => id)).size).toBe(1);
		await expect.poll(async () => (await deliveriesOf(server, webhook))[0]?.state).toBe('delivered');
		const [delivery] = await deliveriesOf(server, webhook);
		expect(delivery).toMatchObject({ type: 'room.created', state: 'delivered', attempts: 3, log: [{ status: 200 }, { status: 500 }, { status: 500 }] });
	});

	it('are given up in the end, listed as dead letters, and sent again when asked', async () => {
		receiver.answer = () => 503;
		const webhook = await make(server, receiver.url, { events: ['room.created'] });
		await server.room({ id: 'given-up' }, 'scheduled');
		await expect.poll(async () => (await deliveriesOf(server, webhook))[0]?.state).toBe('dead');
		const [dead] = await deliveriesOf(server, webhook);
		expect(dead).toMatchObject({ attempts: 3, log: [{ status: 503 }, { status: 503 }, { status: 503 }] });
		receiver.answer = () => 200;
		expect((await server.call('POST', `/v1/admin/webhooks/${webhook.id}/deliveries/${dead?.id}/retry`)).status).toBe(202);
		const taken = await receiver.next(({ status }) => status === 200);
		expect(taken.id).toBe(dead?.event);
		expect((await server.call('POST', `/v1/admin/webhooks/${webhook.id}/deliveries/nothing/retry`)).status).toBe(404);
	});

	it('follow no redirect', async () => {
		const trap = await Receiver.start();
		try {
			receiver.answer = () => ({ status: 307, headers: { location: trap.url } });
			const webhook = await make(server, receiver.url, { events: ['room.created'] });
			await server.room({ id: 'redirected' }, 'scheduled');
			await expect.poll(async () => (await deliveriesOf(server, webhook))[0]?.state).toBe('dead');
			expect((await deliveriesOf(server, webhook))[0]?.log[0]).toMatchObject({ status: 307, error: 'redirect' });
			expect(trap.received).toEqual([]);
		} finally {
			await trap.stop();
		}
	});

	it('stop for a receiver that says it is gone', async () => {
		receiver.answer = () => 410;
		const webhook = await make(server, receiver.url, { events: ['room.created'] });
		await server.room({ id: 'gone' }, 'scheduled');
		const listed = async () => (await server.json<{ webhooks: { enabled: boolean; disabledReason?: string }[] }>('GET', '/v1/admin/webhooks')).webhooks[0];
		await expect.poll(async () => (await listed())?.enabled).toBe(false);
		await server.room({ id: 'gone-2' }, 'scheduled');
		expect(await deliveriesOf(server, webhook)).toHaveLength(1);
		receiver.answer = () => 200;
		await server.json('PATCH', `/v1/admin/webhooks/${webhook.id}`, { enabled: true });
		await server.room({ id: 'gone-3' }, 'scheduled');
		expect((await receiver.next(({ status }) => status === 200)).data['room']).toBe('gone-3');
	});

	it('show a secret once, and sign with the old and the new one while it is changed', async () => {
		const webhook = await make(server, receiver.url);
		expect(webhook.secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
		const { secret } = await server.json<{ secret: string }>('POST', `/v1/admin/webhooks/${webhook.id}/secret`);
		expect(secret).not.toBe(webhook.secret);
		const listing = await (await server.call('GET', '/v1/admin/webhooks')).text();
		expect(listing).not.toContain(secret);
		expect(listing).not.toContain(webhook.secret);
		await server.json('POST', `/v1/admin/webhooks/${webhook.id}/test`);
		const { headers, body } = await receiver.next(({ type }) => type === 'webhook.test');
		expect([isSigned(secret, headers, body), isSigned(webhook.secret, headers, body), isSigned(`whsec_${Buffer.alloc(32).toString('base64')}`, headers, body)]).toEqual([true, true, false]);
	});

	it('let a secret that others may know sign no more, and the old one for as long as it is wanted', async () => {
		const webhook = await make(server, receiver.url);
		const rotate = (body?: object) => server.json<{ secret: string; previousUntil: string }>('POST', `/v1/admin/webhooks/${webhook.id}/secret`, body);
		const listed = async () => (await server.json<{ webhooks: { previousUntil?: string; secretHint: string }[] }>('GET', '/v1/admin/webhooks')).webhooks[0];
		const second = await rotate({ overlapSeconds: 3_600 });
		expect(Math.abs(Date.parse(second.previousUntil) - Date.now() - 3_600_000)).toBeLessThan(60_000);
		expect(await listed()).toMatchObject({ previousUntil: second.previousUntil, secretHint: second.secret.slice(-4) });
		// The first one is two behind, the second one is known to others.
		const third = await rotate({ overlapSeconds: 0 });
		expect(await listed()).not.toHaveProperty('previousUntil');
		await server.json('POST', `/v1/admin/webhooks/${webhook.id}/test`);
		const { headers, body } = await receiver.next(({ type }) => type === 'webhook.test');
		expect([webhook, second, third].map(({ secret }) => isSigned(secret, headers, body))).toEqual([false, false, true]);
		for (const overlapSeconds of [-1, 1.5, 7 * 86_400 + 1, '3600']) {
			expect((await server.call('POST', `/v1/admin/webhooks/${webhook.id}/secret`, { overlapSeconds })).status, String(overlapSeconds)).toBe(400);
		}
	});

	it('are sent to the new address once it is changed, even those that waited for the old one, and told of what was asked for last', async () => {
		const moved = await Receiver.start();
		try {
			receiver.answer = () => ({ status: 503, headers: { 'retry-after': '3600' } });
			const webhook = await make(server, receiver.url, { events: ['room.created'], rooms: ['moved', 'moved-2'], description: 'The old one' });
			await server.room({ id: 'moved' }, 'scheduled');
			await receiver.next(({ type }) => type === 'room.created');
			const changed = await server.json('PATCH', `/v1/admin/webhooks/${webhook.id}`, { url: moved.url, events: ['room.created', 'room.opened'], description: 'The new one' });
			expect(changed).toMatchObject({ id: webhook.id, url: moved.url, events: ['room.created', 'room.opened'], rooms: ['moved', 'moved-2'], description: 'The new one', enabled: true });
			expect(changed).not.toHaveProperty('secret');
			await expect.poll(async () => (await deliveriesOf(server, webhook))[0]?.attempts).toBe(1);
			const [waited] = await deliveriesOf(server, webhook);
			await server.json('POST', `/v1/admin/webhooks/${webhook.id}/deliveries/${waited?.id}/retry`);
			const sent = await moved.next(({ data }) => data['room'] === 'moved');
			expect([sent.id, isSigned(webhook.secret, sent.headers, sent.body)]).toEqual([waited?.event, true]);
			await server.room({ id: 'moved-2' }, 'open');
			await moved.next(({ type, data }) => type === 'room.opened' && data['room'] === 'moved-2');
			for (const refused of [{}, { url: 'ftp://example.org/' }, { events: ['nothing.such'] }, { secret: webhook.secret }]) {
				expect((await server.call('PATCH', `/v1/admin/webhooks/${webhook.id}`, refused)).status, JSON.stringify(refused)).toBe(400);
			}
		} finally {
			await moved.stop();
		}
	});

	it('take no address that cannot be one', async () => {
		for (const url of ['ftp://example.org/', 'https://user:password@example.org/', 'http://', 'example.org']) {
			expect((await server.call('POST', '/v1/admin/webhooks', { url })).status, url).toBe(400);
		}
		const { token } = await server.token(await server.room({}), 'host', 'Hana');
		expect((await server.call('POST', '/v1/admin/webhooks', { url: receiver.url }, token)).status).toBe(403);
	});
});

describe('without leave to reach private addresses', () => {
	let server: RostrumProcess;
	let receiver: Receiver;
	beforeAll(async () => {
		// A webhook that was made when it was allowed, and whose name or address must not be reached any more.
		const dataDir = mkdtempSync(path.join(tmpdir(), 'rostrum-webhooks-'));
		receiver = await Receiver.start();
		const before = await RostrumProcess.start({ mediaPort: MEDIA_PORT, dataDir, env: ALLOWED });
		for (const host of ['127.0.0.1', 'localhost', '[::1]', '[::ffff:127.0.0.1]', '0.0.0.0', '2130706433']) await make(before, `https://${host}:${receiver.port}/`);
		await make(before, receiver.url);
		await before.stop();
		server = await RostrumProcess.start({ mediaPort: MEDIA_PORT, dataDir, env: { ...ALLOWED, ROSTRUM_WEBHOOKS_ALLOW_PRIVATE_ADDRESSES: 'false' } });
	});
	afterAll(async () => {
		await server?.stop();
		await receiver?.stop();
		if (server) rmSync(server.dataDir, { recursive: true, force: true });
	});

	it('nothing is sent there, however the address is written', async () => {
		const { webhooks } = await server.json<{ webhooks: { id: string; url: string }[] }>('GET', '/v1/admin/webhooks');
		expect(webhooks).toHaveLength(7);
		let connections = 0;
		receiver.on('received', () => connections++);
		for (const webhook of webhooks) {
			await server.json('POST', `/v1/admin/webhooks/${webhook.id}/test`);
			await expect.poll(async () => (await deliveriesOf(server, webhook))[0]?.log[0]?.error, { message: webhook.url }).toMatch(/^(address_not_allowed|not_https)$/);
		}
		expect(connections).toBe(0);
		expect((await server.call('POST', '/v1/admin/webhooks', { url: 'http://example.org/' })).status).toBe(400);
	});
});

describe('a process that is killed between an event and its delivery', () => {
	it('delivers it when it is started again, once it was taken not again, and under the id it had', async () => {
		const dataDir = mkdtempSync(path.join(tmpdir(), 'rostrum-webhooks-'));
		const receiver = await Receiver.start();
		const port = receiver.port;
		const running: { server?: RostrumProcess; receiver?: Receiver } = {};
		try {
			receiver.answer = () => 500;
			// Shards of a process that was killed need a moment to notice; the next one has ports of its own.
			const start = (offset: number, firstRetryMs: string) => RostrumProcess.start({ mediaPort: MEDIA_PORT + offset, dataDir, env: { ...ALLOWED, ROSTRUM_WEBHOOKS_FIRST_RETRY_MS: firstRetryMs } });
			running.server = await start(100, '600000');
			const { secret } = await make(running.server, receiver.url, { events: ['room.created', 'room.live'] });
			await running.server.room({ id: 'killed' }, 'scheduled');
			const first = await receiver.next(({ type }) => type === 'room.created');
			// Nobody is there to take this one, and the process dies with the answer.
			await receiver.stop();
			await running.server.json('POST', '/v1/rooms/killed/start');
			running.server.child.kill('SIGKILL');
			await once(running.server, 'exit');

			running.receiver = await Receiver.start(port);
			running.server = await start(200, '50');
			const { webhooks } = await running.server.json<{ webhooks: Made[] }>('GET', '/v1/admin/webhooks');
			const pending = await deliveriesOf(running.server, webhooks[0]!);
			expect(pending.map(({ type }) => type).toSorted()).toEqual(['room.created', 'room.live']);
			for (const { id } of pending) await running.server.json('POST', `/v1/admin/webhooks/${webhooks[0]!.id}/deliveries/${id}/retry`);
			const again = await running.receiver.next(({ type }) => type === 'room.created');
			const live = await running.receiver.next(({ type }) => type === 'room.live');
			expect(again.id).toBe(first.id);
			expect([isSigned(secret, again.headers, again.body), isSigned(secret, live.headers, live.body)]).toEqual([true, true]);
			const delivered = async () => (await deliveriesOf(running.server!, webhooks[0]!)).map(({ state }) => state);
			await expect.poll(delivered).toEqual(['delivered', 'delivered']);
			await running.server.stop('SIGKILL');

			// What was told is known, so a further start tells nothing of these rooms.
			running.server = await start(300, '50');
			await running.server.json('POST', `/v1/admin/webhooks/${webhooks[0]!.id}/test`);
			await running.receiver.next(({ type }) => type === 'webhook.test');
			expect(running.receiver.received.map(({ type }) => type).filter((type) => type === 'room.created')).toHaveLength(1);
		} finally {
			await running.server?.stop('SIGKILL');
			await running.receiver?.stop();
			rmSync(dataDir, { recursive: true, force: true });
		}
	}, 120_000);
});

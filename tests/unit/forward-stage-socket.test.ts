import { connect } from 'node:net';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { WebSocket } from 'ws';
import { STAGE_SUBPROTOCOL } from '../../server/stage/protocol.ts';
import type { HttpNode, HttpNodes } from '../support/cluster/http-nodes.ts';
import { StageClient, type StageClientOptions } from '../support/stage-client.ts';
import { startStages, type StageOfNode } from '../support/cluster/http-stages.ts';

const ROOM = 'launch';
let cluster: HttpNodes;
let home: HttpNode & StageOfNode;
let other: HttpNode & StageOfNode;
let clients: StageClient[];

beforeEach(async () => {
	const started = await startStages(['a', 'b'], ROOM, { pingEveryMs: 40, missedPings: 2, closeTimeoutMs: 100, maxBufferedBytes: 64 * 1024 });
	({ cluster } = started);
	home = started.nodes['a']!;
	other = started.nodes['b']!;
	clients = [];
});
afterEach(async () => {
	for (const { socket } of clients) socket.terminate();
	await cluster.close();
});

async function connectTo(node: HttpNode, role: 'speaker' | 'host' | 'listener' = 'speaker', options: StageClientOptions = {}): Promise<StageClient> {
	const token = (await node.bearer(role, ROOM, { subject: options.headers?.['x-subject'] ?? `${role}-1` })).replace('Bearer ', '');
	const client = await StageClient.connect(node.origin, ROOM, { token, ...options });
	clients.push(client);
	return client;
}

const subjects = (node: StageOfNode) => node.stageService.roster(ROOM).map(({ subject }) => subject);

describe('a stage socket that comes to another node', () => {
	it('is on the stage at home, with all that is said in both directions', async () => {
		const ann = await connectTo(other, 'host', { protocols: [STAGE_SUBPROTOCOL], headers: { 'x-subject': 'ann' } });
		expect(await ann.welcome()).toMatchObject({ number: 1, name: 'host', room: { id: ROOM } });
		expect(ann.socket.protocol).toBe(STAGE_SUBPROTOCOL);
		expect([subjects(home), subjects(other)]).toEqual([['ann'], []]);
		const bob = await connectTo(home, 'speaker', { headers: { 'x-subject': 'bob' } });
		const { participantId } = await bob.welcome();
		await bob.request('mute', {});
		await ann.next('stage', ({ roster }) => roster.some(({ id, muted }) => id === participantId && muted));
		expect(await ann.request('transport.create', { direction: 'send' })).toMatchObject({ iceCandidates: [] });
		expect(other.cluster.sockets.size).toBe(1);
	});

	it.each<[string, 'listener' | 'speaker' | 'none', number, string, (() => Promise<unknown>) | undefined]>([
		['without a token', 'none', 401, 'token_required', undefined],
		['of a listener', 'listener', 403, 'forbidden', undefined],
		['of somebody banned at home', 'speaker', 403, 'banned', () => home.stageStore.ban({ roomId: ROOM, subject: 'speaker-1', name: 'Eve', bannedBy: 'x', bannedAt: '2026-01-01T00:00:00.000Z' })],
		['for a room that ended at home', 'speaker', 410, 'room_ended', async () => {
			await home.stageRooms.transition(ROOM, 'open');
			await home.stageRooms.transition(ROOM, 'end');
		}],
	])('%s is refused by HTTP as at home, and so is the same GET', async (_, role, status, code, prepare) => {
		await prepare?.();
		const token = role === 'none' ? undefined : (await other.bearer(role, ROOM, { subject: `${role}-1` })).replace('Bearer ', '');
		const refused = StageClient.connect(other.origin, ROOM, token === undefined ? {} : { token });
		await expect(refused).rejects.toMatchObject({ status, code, contentType: expect.stringContaining('application/problem+json') as string });
		const plain = await fetch(`${other.origin}/v1/rooms/${ROOM}/stage`, token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } });
		expect([plain.status, ((await plain.json()) as { code: string }).code]).toEqual([status, code]);
		expect([...subjects(home), ...subjects(other)]).toEqual([]);
		expect(other.cluster.sockets.size).toBe(0);
	});

	it('is told that this is a WebSocket when it asks without upgrade', async () => {
		const plain = await fetch(`${other.origin}/v1/rooms/${ROOM}/stage`, { headers: { authorization: await other.bearer('speaker', ROOM) } });
		expect([plain.status, await plain.json()]).toMatchObject([400, { code: 'invalid_request' }]);
	});

	it.each(['cannot be told', 'does not answer'])('whose home %s is refused for the moment', async (how) => {
		if (how === 'cannot be told') other.homes.set(ROOM, 'unknown');
		else await home.server.close();
		await expect(connectTo(other)).rejects.toMatchObject({ status: 503, code: 'home_unavailable' });
	});

	it('is not passed on in circles', async () => {
		home.homes.set(ROOM, 'b');
		await expect(connectTo(other)).rejects.toMatchObject({ status: 503, code: 'not_home' });
	});

	it('ends with the code that the home ends it with', async () => {
		const ann = await connectTo(other, 'speaker', { headers: { 'x-subject': 'ann' } });
		await ann.welcome();
		const host = await connectTo(home, 'host');
		await host.welcome();
		const id = home.stageService.roster(ROOM).find(({ subject }) => subject === 'ann')?.id ?? '';
		await host.request('participant.kick', { participantId: id });
		expect(await ann.closed).toEqual({ code: 4430, reason: 'kicked' });
		expect(ann.events.at(-1)).toMatchObject({ event: 'bye', data: { reconnect: false } });
	});

	it('leaves with the answer to its leaving', async () => {
		const ann = await connectTo(other);
		await ann.welcome();
		await expect(ann.request('leave', {})).resolves.toEqual({});
		expect(await ann.closed).toEqual({ code: 1000, reason: 'left' });
		expect(subjects(home)).toEqual([]);
	});

	it('that vanishes is missed at home, and its place is kept', async () => {
		const ann = await connectTo(other, 'speaker', { headers: { 'x-subject': 'ann' } });
		await ann.welcome();
		const host = await connectTo(home, 'host');
		await host.welcome();
		await ann.vanish();
		await host.next('stage', ({ roster }) => roster.some(({ name, connection }) => name === 'speaker' && connection === 'reconnecting'));
		expect(subjects(home)).toContain('ann');
		expect(other.cluster.sockets.size).toBe(0);
	});

	it('is asked for a sign of life by the home, and not by the node between', async () => {
		const deaf = await connectTo(other, 'speaker', { autoPong: false });
		const pinged = once(deaf.socket, 'ping');
		await deaf.welcome();
		home.stageClock.advance(10_000);
		await pinged;
		home.stageClock.advance(10_000);
		home.stageClock.advance(10_000);
		// Nobody answers at the far end, so the home lets go.
		expect((await deaf.closed).code).toBe(1012);

		const well = await connectTo(other, 'host');
		await well.welcome();
		for (let count = 0; count < 4; count++) {
			const asked = once(well.socket, 'ping');
			home.stageClock.advance(10_000);
			await asked;
			await well.request('mute', {});
		}
		expect(well.socket.readyState).toBe(WebSocket.OPEN);
	});

	it.each<[string, () => Promise<unknown> | void]>([
		['is taken for dead', () => cluster.die('a')],
		['cuts its connections', () => home.server.close()],
	])('is told to come again when the home %s', async (_, end) => {
		const ann = await connectTo(other);
		await ann.welcome();
		await end();
		// Not one of the codes that are final for the browser SDK.
		expect(await ann.closed).toEqual({ code: 1012, reason: 'home_lost' });
		expect(other.cluster.sockets.size).toBe(0);
	});

	it('is told to come again when this node goes, and keeps its place at home', async () => {
		const ann = await connectTo(other, 'speaker', { headers: { 'x-subject': 'ann' } });
		await ann.welcome();
		await other.app.close();
		expect(await ann.closed).toEqual({ code: 1001, reason: 'shutting_down' });
		expect(ann.events.at(-1)).toEqual({ event: 'bye', data: { code: 'shutting_down', detail: expect.any(String) as string, reconnect: true } });
		await vi.waitFor(() => expect(home.stageService.roster(ROOM)).toMatchObject([{ subject: 'ann', connection: 'reconnecting' }]));
	});

	it('with a broken handshake leaves nobody on the stage', async () => {
		const socket = connect(Number(new URL(other.origin).port), '127.0.0.1');
		const token = await other.bearer('speaker', ROOM);
		socket.write(`GET /v1/rooms/${ROOM}/stage HTTP/1.1\r\nHost: x\r\nAuthorization: ${token}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: short\r\n\r\n`);
		const [chunk] = (await once(socket, 'data')) as [Buffer];
		expect(chunk.toString()).toMatch(/^HTTP\/1\.1 400 /);
		await vi.waitFor(() => expect(home.stageService.roster(ROOM).every(({ connection }) => connection === 'reconnecting')).toBe(true));
		expect(other.cluster.sockets.size).toBe(0);
		socket.destroy();
	});

	it('that floods is ended by the home', async () => {
		const ann = await connectTo(other);
		await ann.welcome();
		for (let count = 0; count < 300; count++) ann.sendRaw(JSON.stringify({ id: count, method: 'mute', params: {} }));
		expect((await ann.closed).code).toBe(4429);
	});
});

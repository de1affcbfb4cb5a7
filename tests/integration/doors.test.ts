import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadConfig } from '../../config/load.ts';
import { RostrumNode } from '../../server/node.ts';
import type { Room, RoomState } from '../../server/rooms/room.ts';
import { shardIndexOf } from '../../sfu/contract/session-id.ts';
import { RtcListener } from '../support/rtc/listener.ts';
import { RtcSpeaker } from '../support/rtc/speaker.ts';
import { longSpeech } from '../support/speech/speech.ts';

const ADMIN = 'an-admin-token-of-more-than-32-characters';
const LISTENER_SHARDS = 4;
const LINGER_MS = 2_000;
const AT_EASE_LAG_MS = 20;
const LISTENERS = 8;
const ROOM = 'announcement';
/** Until the doors: with time for the edges to outlast their linger. */
const DOORS_MS = 6_000;

/** Settles when the room is in that state. */
const becomes = (node: RostrumNode, id: string, state: RoomState): Promise<Room> =>
	new Promise((resolve) => {
		const look = (room: Room | undefined) => {
			if (room?.id === id && room.state === state) {
				node.rooms.off('changed', look);
				resolve(room);
			}
		};
		node.rooms.on('changed', look);
		look(node.rooms.get(id));
	});

describe('an event with a time', () => {
	let dataDir: string;
	let node: RostrumNode;
	let doorsOpenAtMs: number;
	const people: { close(): void }[] = [];

	const start = () =>
		RostrumNode.start(
			loadConfig({
				env: {
					ROSTRUM_HTTP_PORT: '0', ROSTRUM_DATA_DIR: dataDir, ROSTRUM_ADMIN_TOKEN: ADMIN, ROSTRUM_ROOMS_DEMO: 'false',
					ROSTRUM_LISTENER_SHARDS: String(LISTENER_SHARDS), ROSTRUM_STAGE_SHARDS: '1', ROSTRUM_SFU_REHEARSAL_JOINS: '0', ROSTRUM_MEDIA_PORT: '23600',
					ROSTRUM_SFU_MAX_LISTENERS_PER_SHARD: '100', ROSTRUM_CLUSTER_LINK_LINGER_MS: String(LINGER_MS), ROSTRUM_DOORS_PREWARM_MS: '30000',
				},
				cores: 4,
				readFile: () => '',
			}),
			pino({ level: 'silent' }),
		);
	const call = (method: string, target: string, body?: unknown, type = 'application/json', token: string | null = ADMIN) =>
		fetch(`${node.url}${target}`, {
			method,
			headers: { ...(token === null ? {} : { authorization: `Bearer ${token}` }), ...(body === undefined ? {} : { 'content-type': type }) },
			...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
		});
	const post = async (target: string, body?: unknown, type?: string, token?: string | null) => {
		const response = await call('POST', target, body, type, token);
		if (!response.ok) throw new Error(`${target}: ${response.status} ${await response.text()}`);
		return response;
	};
	const sdp = async (target: string, offer: string, token: string | null) => post(target, offer, 'application/sdp', token);
	const edges = () => [...(node.programmes.describe(ROOM)?.edgeShards ?? [])].toSorted((a, b) => a - b);
	const linked = () => node.programmes.linkStats(ROOM).filter(({ upstream }) => upstream?.shard === 'origin').map(({ shard }) => shard).toSorted((a, b) => a - b);

	beforeAll(async () => {
		dataDir = await mkdtemp(path.join(tmpdir(), 'rostrum-doors-'));
		node = await start();
		doorsOpenAtMs = Date.now() + DOORS_MS;
		// 20 people, of whom each shard of 100 is meant to take 10.
		await post('/v1/rooms', { id: ROOM, title: 'Announcement', doorsOpenAt: new Date(doorsOpenAtMs).toISOString(), scheduledAt: new Date(doorsOpenAtMs + 60_000).toISOString(), expectedListeners: 20 });
	});
	afterAll(async () => {
		for (const person of people) person.close();
		await node?.close('the test is over', 1_000);
		node?.supervisor.killAll();
		await rm(dataDir, { recursive: true, force: true });
	});

	it('has its edges and links before its doors open, on as many shards as its audience needs, and keeps them', async () => {
		await expect.poll(() => linked(), { timeout: 3_000 }).toHaveLength(2);
		const warm = edges();
		expect(warm).toEqual(linked());
		expect(node.rooms.require(ROOM).state).toBe('scheduled');
		expect((await call('POST', `/v1/rooms/${ROOM}/listen`, await new RtcListener().offer(), 'application/sdp', null)).status).toBe(409);
		await becomes(node, ROOM, 'open');
		const lateMs = Date.now() - doorsOpenAtMs;
		console.log('the doors opened', lateMs, 'ms after their time');
		expect(lateMs).toBeGreaterThanOrEqual(0);
		expect(lateMs).toBeLessThan(1_000);
		// Longer than the linger of edges to which nobody listens.
		expect(edges()).toEqual(warm);
	});

	it('spreads early listeners over those shards, and makes nothing at all when it goes live', async () => {
		const warm = edges();
		// A shard that a busy machine has just held up is passed over for a moment, and rightly so.
		const lagMs = () => Math.max(...warm.map((shard) => node.supervisor.shard(shard)?.stats?.eventLoopLagMs ?? Infinity));
		await expect.poll(lagMs, { timeout: 15_000, interval: 100 }).toBeLessThan(AT_EASE_LAG_MS);
		const shards: number[] = [];
		const listeners = await Promise.all(
			Array.from({ length: LISTENERS }, () =>
				RtcListener.join(async (offer) => {
					const answer = await sdp(`/v1/rooms/${ROOM}/listen`, offer, null);
					shards.push(shardIndexOf(answer.headers.get('location')?.split('/').at(-1) ?? '') ?? -1);
					return answer.text();
				}),
			),
		);
		people.push(...listeners);
		expect(warm.map((shard) => shards.filter((one) => one === shard).length)).toEqual([LISTENERS / 2, LISTENERS / 2]);
		expect(edges()).toEqual(warm);

		const { token } = (await (await post(`/v1/rooms/${ROOM}/tokens`, { role: 'speaker', name: 'Ann' })).json()) as { token: string };
		const speaker = await RtcSpeaker.publish(async (offer) => (await sdp(`/v1/rooms/${ROOM}/publish`, offer, token)).text());
		people.push(speaker);
		speaker.talk(await longSpeech('alto'));

		const asked: string[] = [];
		for (const shard of node.supervisor.shards()) {
			const request = shard.request.bind(shard);
			shard.request = (name, params) => {
				asked.push(name);
				return request(name, params);
			};
		}
		const links = node.programmes.linkStats(ROOM).map(({ linkId }) => linkId);
		const sinceMs = performance.now();
		await post(`/v1/rooms/${ROOM}/start`);
		await Promise.all(listeners.map((listener) => listener.heard(1, { sinceMs })));
		expect(asked.filter((name) => name !== 'shard.ping')).toEqual(['origin.setOnAir']);
		expect(node.programmes.linkStats(ROOM).map(({ linkId }) => linkId)).toEqual(links);
		expect(listeners.every(({ state }) => state === 'connected')).toBe(true);
	});

	it('opens late where the node was down at its time, and not again', async () => {
		const soon = (ms: number) => new Date(Date.now() + ms).toISOString();
		await post('/v1/rooms', { id: 'missed', title: 'Missed', doorsOpenAt: soon(1_500), scheduledAt: soon(60_000) });
		await node.close('a restart', 1_000);
		await new Promise((resolve) => setTimeout(resolve, 1_600));
		node = await start();
		const { version, openedAt } = await becomes(node, 'missed', 'open');
		expect(version).toBe(2);
		await node.close('a restart', 1_000);
		node = await start();
		await becomes(node, 'missed', 'open');
		expect(node.rooms.require('missed')).toMatchObject({ version, openedAt });
	});
});

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../support/cluster/until.ts';
import { ADMIN_TOKEN, RostrumProcess } from '../support/process/rostrum-process.ts';
import { RedisServer } from '../support/redis/redis-server.ts';
import { RtcListener } from '../support/rtc/listener.ts';

interface Node { id: string; rooms: Record<string, number>; homes: Record<string, { epoch: number }> }
interface Refusal { code: string; reason?: string }

const ROOM = 'hall';
const SEATS = 30;
const ANSWER_MS = 30_000;

// Sessions that never connect hold their seats for longer than this takes.
describe('a room with 30 seats on three nodes', () => {
	let redis: RedisServer;
	let running: RostrumProcess[] = [];
	let offer: string;
	const nodes = async (at: RostrumProcess) => (await at.json<{ nodes: Node[] }>('GET', '/v1/admin/nodes')).nodes;
	const startNode = (nodeId: string, mediaPort: number) =>
		RostrumProcess.start({
			mediaPort,
			env: {
				REDIS_URL: redis.url, ROSTRUM_CLUSTER_SECRET: ADMIN_TOKEN, ROSTRUM_NODE_ID: nodeId, ROSTRUM_INTERNAL_PORT: String(mediaPort + 10), ROSTRUM_ROOMS_DEMO: 'false',
				ROSTRUM_SFU_CONNECT_TIMEOUT_MS: '120000',
			},
		});

	/** So many come to all nodes in turn, at once; whoever is asked to come again does. @returns how many are seated, and why the others are not */
	async function come(count: number): Promise<{ seated: number; full: number }> {
		let seated = 0;
		let full = 0;
		const giveUpMs = performance.now() + ANSWER_MS;
		await Promise.all(
			Array.from({ length: count }, async (_, index) => {
				for (;;) {
					const { url } = running[index % running.length]!;
					const response = await fetch(`${url}/v1/rooms/${ROOM}/listen`, { method: 'POST', body: offer, headers: { 'content-type': 'application/sdp' } });
					const body = await response.text();
					if (response.status === 201) {
						seated++;
						return;
					}
					const { code, reason } = JSON.parse(body) as Refusal;
					if (reason === 'room_full') {
						expect(code).toBe('no_capacity');
						expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0);
						full++;
						return;
					}
					// The pace of this machine, or a home that moves.
					if (response.status !== 503 || performance.now() > giveUpMs) {
						throw new Error(`${response.status} ${body}`);
					}
				}
			}),
		);
		return { seated, full };
	}
	const counted = (count: number) =>
		until(`all nodes count ${count}`, 10_000, async () => {
			const seen = await Promise.all(running.map(async (at) => (await nodes(at)).reduce((sum, { rooms }) => sum + (rooms[ROOM] ?? 0), 0)));
			return seen.every((sum) => sum === count) || seen.join();
		});

	beforeAll(async () => {
		redis = await RedisServer.start();
		running = await Promise.all([startNode('node-a', 23_400), startNode('node-b', 23_500), startNode('node-c', 23_600)]);
		await until('all see each other', 10_000, async () => (await Promise.all(running.map(nodes))).every(({ length }) => length === 3));
		await running[0]!.room({ id: ROOM, maxListeners: SEATS });
		await until('all know the room and its home', 5_000, async () => (await Promise.all(running.map(nodes))).every((seen) => seen.some(({ homes }) => homes[ROOM] !== undefined)));
		const listener = new RtcListener();
		offer = await listener.offer();
		listener.close();
	});
	afterAll(async () => {
		await Promise.all(running.map((node) => node.stop('SIGKILL')));
		await redis?.stop();
	});

	it('seats thirty of a crowd that comes to all nodes at once, and tells the others that it is full', async () => {
		expect(await come(70)).toEqual({ seated: SEATS, full: 40 });
		await counted(SEATS);
		expect(await come(6)).toEqual({ seated: 0, full: 6 });
	});

	it('seats more from the moment when its host allows more', async () => {
		await running[2]!.json('PATCH', `/v1/rooms/${ROOM}`, { maxListeners: SEATS + 6 });
		await until('all nodes have heard of it', 3_000, async () => (await Promise.all(running.map((at) => at.json<{ maxListeners: number }>('GET', `/v1/rooms/${ROOM}`)))).every(({ maxListeners }) => maxListeners === SEATS + 6));
		expect(await come(12)).toEqual({ seated: 6, full: 6 });
		await counted(SEATS + 6);
	});

	it('has the seats of its home again when that was killed, and not one more', async () => {
		const [first] = running;
		const homeId = (await nodes(first!)).find(({ homes }) => homes[ROOM] !== undefined)?.id ?? '';
		const index = ['node-a', 'node-b', 'node-c'].indexOf(homeId);
		const home = running[index]!;
		const lost = (await nodes(home)).find(({ id }) => id === homeId)?.rooms[ROOM] ?? 0;
		expect(lost).toBeGreaterThan(0);
		running = running.filter((node) => node !== home);
		await home.stop('SIGKILL');
		await until('the room has another home', 10_000, async () => (await Promise.all(running.map(nodes))).every((seen) => seen.some(({ id, homes }) => id !== homeId && homes[ROOM] !== undefined) && seen.length === 2));
		expect(await come(lost + 10)).toEqual({ seated: lost, full: 10 });
		await counted(SEATS + 6);
	});
});

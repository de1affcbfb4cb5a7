// A recording whose home dies in its middle goes on at the next home, and becomes whole when the first one is back.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../support/cluster/until.ts';
import { strengthOf } from '../support/overflow/hls-ear.ts';
import { ADMIN_TOKEN, RostrumProcess } from '../support/process/rostrum-process.ts';
import { listenTo, replayOf, replaysOf, speakIn, whenReady } from '../support/recording/replay.ts';
import { RedisServer } from '../support/redis/redis-server.ts';
import type { RtcSpeaker } from '../support/rtc/speaker.ts';
import { tone } from '../support/speech/speech.ts';

const ROOM = 'hall';
const LOW = 440;
const HIGH = 1_000;
const PORTS = { 'node-a': 30_000, 'node-b': 30_100, 'node-c': 30_200 } as const;
type NodeId = keyof typeof PORTS;

describe('a recording in a cluster', () => {
	let redis: RedisServer;
	let dataDir: string;
	const nodes = new Map<NodeId, RostrumProcess>();
	const people: RtcSpeaker[] = [];
	const node = (id: NodeId) => nodes.get(id)!;
	const start = async (id: NodeId): Promise<void> => {
		const mediaPort = PORTS[id];
		nodes.set(id, await RostrumProcess.start({
			mediaPort,
			dataDir: path.join(dataDir, id),
			env: {
				REDIS_URL: redis.url, ROSTRUM_CLUSTER_SECRET: ADMIN_TOKEN, ROSTRUM_NODE_ID: id, ROSTRUM_INTERNAL_PORT: String(mediaPort + 10), ROSTRUM_ROOMS_DEMO: 'false',
				ROSTRUM_LISTENER_SHARDS: '1', ROSTRUM_SFU_SPARE_SHARDS: '0',
			},
		}));
	};
	const seenBy = async (at: RostrumProcess) => (await at.json<{ nodes: { id: NodeId; homes: Record<string, { epoch: number }> }[] }>('GET', '/v1/admin/nodes')).nodes;
	const homeSeenBy = async (at: RostrumProcess) => (await seenBy(at)).filter(({ homes }) => homes[ROOM]).toSorted((x, y) => (y.homes[ROOM]?.epoch ?? 0) - (x.homes[ROOM]?.epoch ?? 0))[0]?.id;
	const begun = (at: RostrumProcess) => at.waitForLog(({ msg, room }) => msg === 'a part of a recording begins' && room === ROOM);

	beforeAll(async () => {
		[redis, dataDir] = await Promise.all([RedisServer.start(), mkdtemp(path.join(tmpdir(), 'rostrum-recordings-'))]);
		for (const id of Object.keys(PORTS) as NodeId[]) {
			await start(id);
		}
		await until('all see all', 15_000, async () => (await Promise.all([...nodes.values()].map(async (at) => (await seenBy(at)).length))).every((count) => count === 3));
		await node('node-a').room({ id: ROOM });
		await until('the room’s home is known', 5_000, async () => (await Promise.all([...nodes.values()].map(homeSeenBy))).every((home) => home === 'node-a'));
	});
	afterAll(async () => {
		for (const person of people) {
			person.close();
		}
		await Promise.all([...nodes.values()].map((each) => each.stop('SIGKILL')));
		await redis?.stop();
		await rm(dataDir, { recursive: true, force: true });
	});

	it('survives the death of its home, can be heard through every node, and lacks nothing in the end', async () => {
		const [low, high] = await Promise.all([tone(LOW, 60), tone(HIGH, 60)]);
		// Asked of a node that is not the home.
		const { id } = await node('node-c').json<{ id: string }>('POST', `/v1/rooms/${ROOM}/recordings`);
		await begun(node('node-a'));
		const ann = await speakIn(node('node-a'), ROOM, 'Ann');
		people.push(ann);
		ann.talk(low);
		const talkedAtMs = Date.now();
		await until('everybody is told', 5_000, async () => (await Promise.all([...nodes.values()].map((at) => at.json<{ recording: boolean }>('GET', `/v1/rooms/${ROOM}`)))).every(({ recording }) => recording));
		await until('it is listed everywhere', 5_000, async () => (await Promise.all([...nodes.values()].map((at) => replaysOf(at, ROOM)))).every(([first]) => first?.id === id && first.state === 'recording'));
		await new Promise((resolve) => setTimeout(resolve, Math.max(0, talkedAtMs + 9_000 - Date.now()))); // So long is spoken.
		await node('node-a').stop('SIGKILL');
		const saidMs = Date.now() - talkedAtMs;
		ann.close();
		nodes.delete('node-a');
		let home = 'node-a' as NodeId;
		await until('the next home is known', 10_000, async () => {
			home = (await homeSeenBy(node('node-b'))) ?? 'node-a';
			return nodes.has(home);
		});
		await begun(node(home));
		const ben = await speakIn(node(home), ROOM, 'Ben');
		people.push(ben);
		ben.talk(high);
		await new Promise((resolve) => setTimeout(resolve, 6_000)); // So long is spoken.
		const other: NodeId = home === 'node-b' ? 'node-c' : 'node-b';
		await node(other).json('POST', `/v1/rooms/${ROOM}/recordings/${id}/stop`);
		ben.close();

		const half = await whenReady(node(other), ROOM, id);
		expect(half.incomplete).toBe(true);
		expect(half.chapters.map(({ name }) => name)).toEqual(['Ben']);
		expect(lengthOf(await listenTo(new URL(half.audio[0]?.url ?? '', node(other).url)), HIGH)).toBeGreaterThan(4_000);

		await start('node-a');
		await until('the part of the first home is in it', 40_000, async () => {
			const replay = await replayOf(node(other), ROOM, id).catch(() => undefined);
			return replay?.state === 'ready' && !replay.incomplete;
		});
		for (const at of nodes.values()) {
			const whole = await replayOf(at, ROOM, id);
			expect(whole.chapters.map(({ name }) => name)).toEqual(['Ann', 'Ben']);
			const piece = await fetch(new URL(whole.audio[1]?.url ?? '', at.url), { headers: { range: 'bytes=0-99' } });
			expect(piece.status).toBe(206);
			expect((await piece.arrayBuffer()).byteLength).toBe(100);
			const pcm = await listenTo(new URL(whole.audio[0]?.url ?? '', at.url));
			console.log('  said', saidMs, 'ms at the first home, kept', lengthOf(pcm, LOW), 'ms');
			expect(lengthOf(pcm, LOW)).toBeGreaterThan(saidMs - 5_000);
			expect(lengthOf(pcm, HIGH)).toBeGreaterThan(4_000);
		}

		expect((await node(other).call('DELETE', `/v1/rooms/${ROOM}/recordings/${id}`)).status).toBe(204);
		for (const at of nodes.values()) {
			expect(await replaysOf(at, ROOM)).toEqual([]);
		}
	});
	it('takes along what the last home has when that one is drained, and needs it no more', async () => {
		const room = await node('node-b').room({ id: 'moving' });
		const homeOf = async () => (await seenBy(node('node-a'))).filter(({ homes }) => homes[room]).toSorted((x, y) => (y.homes[room]?.epoch ?? 0) - (x.homes[room]?.epoch ?? 0))[0]?.id;
		await until('it lives at node-b', 5_000, async () => (await homeOf()) === 'node-b');
		const ann = await speakIn(node('node-b'), room, 'Ann');
		people.push(ann);
		ann.talk(await tone(LOW, 60));
		const { id } = await node('node-b').json<{ id: string }>('POST', `/v1/rooms/${room}/recordings`);
		await node('node-b').waitForLog(({ msg, room: of }) => msg === 'a part of a recording begins' && of === room);
		await new Promise((resolve) => setTimeout(resolve, 6_000)); // So long is spoken.
		await node('node-b').json('POST', '/v1/admin/nodes/node-b/drain');
		let home = 'node-b' as NodeId;
		await until('it lives elsewhere', 20_000, async () => (home = (await homeOf()) ?? 'node-b') !== 'node-b');
		ann.close();
		await node(home).waitForLog(({ msg, room: of }) => msg === 'parts of a recording have been fetched' && of === room);
		await node('node-b').stop('SIGKILL');
		nodes.delete('node-b');
		await node(home).json('POST', `/v1/rooms/${room}/recordings/${id}/stop`);
		const replay = await whenReady(node(home), room, id);
		expect(replay.incomplete).toBe(false);
		expect(replay.chapters.map(({ name }) => name)).toEqual(['Ann']);
		expect(lengthOf(await listenTo(new URL(replay.audio[0]?.url ?? '', node(home).url)), LOW)).toBeGreaterThan(4_500);
	});
});

/** For how long that tone is to be heard. */
function lengthOf(pcm: Int16Array, hz: number): number {
	return Array.from({ length: Math.floor(pcm.length / 4_800) }, (_, index) => strengthOf(pcm.subarray(index * 4_800, (index + 1) * 4_800), hz)).filter((strength) => strength > 0.04).length * 100;
}

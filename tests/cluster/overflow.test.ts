import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../support/cluster/until.ts';
import { figure } from '../support/figure.ts';
import { envelopeOf, findIn, HlsPlayer, readPlaylist } from '../support/overflow/hls-ear.ts';
import { HlsRecorder } from '../support/overflow/hls-recorder.ts';
import { descendantsOf } from '../support/processes.ts';
import { ADMIN_TOKEN, RostrumProcess } from '../support/process/rostrum-process.ts';
import { RedisServer } from '../support/redis/redis-server.ts';
import { RtcSpeaker } from '../support/rtc/speaker.ts';
import { samplesOf } from '../support/scrape.ts';
import { longSpeech, type SpokenAudio } from '../support/speech/speech.ts';

const ROOM = 'hall';
const PORTS = { 'node-a': 27_800, 'node-b': 27_900, 'node-c': 28_000 } as const;
type NodeId = keyof typeof PORTS;

/** Three nodes on this host: what travels between them is HTTP, and loopback will do. */
describe('overflow in a cluster', () => {
	let redis: RedisServer;
	let audio: SpokenAudio;
	const nodes = new Map<NodeId, RostrumProcess>();
	const people: { close(): void }[] = [];

	const node = (id: NodeId) => nodes.get(id)!;
	const start = async (id: NodeId): Promise<void> => {
		const mediaPort = PORTS[id];
		nodes.set(id, await RostrumProcess.start({
			mediaPort,
			env: {
				REDIS_URL: redis.url, ROSTRUM_CLUSTER_SECRET: ADMIN_TOKEN, ROSTRUM_NODE_ID: id, ROSTRUM_INTERNAL_PORT: String(mediaPort + 10), ROSTRUM_ROOMS_DEMO: 'false',
				ROSTRUM_LISTENER_SHARDS: '1', ROSTRUM_SFU_SPARE_SHARDS: '0',
			},
		}));
	};
	const seenBy = async (at: RostrumProcess) => (await at.json<{ nodes: { id: NodeId; homes: Record<string, { epoch: number }> }[] }>('GET', '/v1/admin/nodes')).nodes;
	const homeSeenBy = async (at: RostrumProcess) => (await seenBy(at)).filter(({ homes }) => homes[ROOM]).toSorted((x, y) => (y.homes[ROOM]?.epoch ?? 0) - (x.homes[ROOM]?.epoch ?? 0))[0]?.id;
	const folder = (id: NodeId) => `${node(id).url}/v1/rooms/${ROOM}/hls/`;
	const metrics = async (id: NodeId) => samplesOf(await (await fetch(`${node(id).url}/metrics`)).text());
	const encoders = (id: NodeId) => descendantsOf(node(id).pid).filter(({ command }) => command.includes('pipe:3')).length;
	const speakAt = async (id: NodeId): Promise<RtcSpeaker> => {
		const { token } = await node(id).token(ROOM, 'speaker', 'Ann', { subject: 'ann' });
		const speaker = await RtcSpeaker.publish(async (offer) => {
			const answer = await fetch(`${node(id).url}/v1/rooms/${ROOM}/publish`, { method: 'POST', body: offer, headers: { 'content-type': 'application/sdp', authorization: `Bearer ${token}` } });
			if (answer.status !== 201) throw new Error(`${answer.status} ${await answer.text()}`);
			return answer.text();
		});
		people.push(speaker);
		return speaker;
	};
	/** How much most seconds of it are like some second of what is said, again and again; a busy machine may have a hole in one. */
	const soundsLikeSpeech = (pcm: Int16Array) => {
		const said = envelopeOf(Int16Array.from([...audio.pcm, ...audio.pcm]));
		const seconds = Array.from({ length: Math.floor(pcm.length / 48_000) }, (_, second) => findIn(said, envelopeOf(pcm.slice(second * 48_000, (second + 1) * 48_000))));
		console.log('  heard', seconds.map(({ at, likeness }) => `${likeness.toFixed(3)} at ${at * 20} ms`).join(', '));
		return seconds.map(({ likeness }) => likeness).toSorted((a, b) => b - a)[Math.floor(seconds.length / 2)] ?? 0;
	};

	beforeAll(async () => {
		[redis, audio] = await Promise.all([RedisServer.start(), longSpeech('alto')]);
		for (const id of Object.keys(PORTS) as NodeId[]) await start(id);
		await until('all see all', 15_000, async () => (await Promise.all([...nodes.values()].map(async (at) => (await seenBy(at)).length))).every((count) => count === 3));
		await node('node-a').room({ id: ROOM });
		await until('the room’s home is known', 5_000, async () => (await Promise.all([...nodes.values()].map(homeSeenBy))).every((home) => home === 'node-a'));
	});
	afterAll(async () => {
		for (const person of people) person.close();
		await Promise.all([...nodes.values()].map((each) => each.stop('SIGKILL')));
		await redis?.stop();
	});

	it('is one stream, whichever node is asked and however often: the home is asked once for each part', async () => {
		(await speakAt('node-a')).talk(audio);
		const askedAtMs = performance.now();
		const recorders = (Object.keys(PORTS) as NodeId[]).flatMap((id) => [new HlsRecorder(folder(id)), new HlsRecorder(folder(id)), new HlsRecorder(folder(id))]);
		await recorders[8]!.until('first segment at another node', () => recorders[8]!.segments.length > 0);
		figure('first request at another node to a whole segment', performance.now() - askedAtMs);
		await Promise.all(recorders.map((recorder) => recorder.until('five segments', () => recorder.segments.length >= 6)));
		await Promise.all(recorders.map((recorder) => recorder.close()));
		expect(recorders.flatMap(({ flaws }) => flaws)).toEqual([]);
		const contents = new Map<number, Set<string>>();
		for (const { segments } of recorders) {
			for (const { msn, bytes } of segments) contents.set(msn, (contents.get(msn) ?? new Set()).add(bytes.toString('base64')));
		}
		expect([...contents.values()].every(({ size }) => size === 1)).toBe(true);
		expect((['node-a', 'node-b', 'node-c'] as const).map(encoders)).toEqual([1, 0, 0]);
		const [home, b, c] = await Promise.all([metrics('node-a'), metrics('node-b'), metrics('node-c')]);
		const encoded = home.get('rostrum_overflow_parts_total{source="encoded"}') ?? 0;
		expect(home.get('rostrum_overflow_streams{kind="home"}')).toBe(1);
		for (const follower of [b, c]) {
			expect(follower.get('rostrum_overflow_streams{kind="follower"}')).toBe(1);
			const followed = follower.get('rostrum_overflow_parts_total{source="followed"}') ?? 0;
			expect(followed).toBeGreaterThan(10);
			expect(followed).toBeLessThanOrEqual(encoded + 2);
			expect(follower.get('rostrum_overflow_requests_total{object="segment"}')).toBeGreaterThanOrEqual(3 * 6);
		}
		expect(soundsLikeSpeech((await recorders[8]!.runs())[0]!.pcm.slice(-4 * 48_000))).toBeGreaterThan(0.9);
	});

	it('goes on at every node within seconds of the home’s death, and no number has two contents', async () => {
		const recorder = new HlsRecorder(folder('node-b'));
		const player = new HlsPlayer(`${folder('node-c')}index.m3u8`);
		await recorder.until('the old home', () => recorder.segments.length >= 3);
		await until('the player plays', 15_000, async () => player.pcm.length > 48_000 || player.stderr);
		const before = new Set(recorder.segments.map(({ map }) => map));
		await node('node-a').stop('SIGKILL');
		nodes.delete('node-a');
		const killedAtMs = performance.now();
		await recorder.until('a segment of the next home', () => recorder.segments.some(({ map }) => !before.has(map)), 20_000);
		figure('kill of the home to a whole segment of the next one at another node', performance.now() - killedAtMs);
		expect(performance.now() - killedAtMs).toBeLessThan(10_000);
		let home: NodeId = 'node-a';
		await until('the next home is known', 5_000, async () => {
			home = (await homeSeenBy(node('node-b'))) ?? 'node-a';
			return nodes.has(home);
		});
		const speaker = await speakAt(home);
		speaker.talk(audio);
		const segments = recorder.segments.length;
		await recorder.until('more', () => recorder.segments.length >= segments + 5, 20_000);
		await recorder.close();
		expect(recorder.flaws).toEqual([]);
		const numbers = recorder.segments.map(({ msn }) => msn);
		expect(numbers).toEqual(numbers.map((_, index) => numbers[0]! + index));
		const last = recorder.latest!;
		expect(last.segments.some(({ discontinuity }) => discontinuity)).toBe(true);
		// The same room, asked for at the next home itself.
		const there = readPlaylist(await (await fetch(`${folder(home)}live.m3u8`)).text());
		expect(last.segments.filter(({ uri }) => there.segments.some((segment) => segment.uri === uri)).length).toBeGreaterThan(4);
		const playedMs = player.pcm.length / 48;
		await until('the player that nobody told of it plays on', 15_000, async () => player.playing && player.pcm.length / 48 > playedMs + 6_000);
		// Looked at last: meanwhile nothing else happens in this process, and so nobody speaks.
		const runs = await recorder.runs();
		const played = player.pcm.slice(-4 * 48_000);
		expect(soundsLikeSpeech(runs.at(-1)!.pcm.slice(-3 * 48_000))).toBeGreaterThan(0.9);
		expect(soundsLikeSpeech(played)).toBeGreaterThan(0.9);
		player.close();
	});

	it('ends at every node with the room', async () => {
		const [first, second] = [...nodes.values()];
		await fetch(`${second!.url}/v1/rooms/${ROOM}/hls/live.m3u8`);
		await first!.json('POST', `/v1/rooms/${ROOM}/end`);
		for (const at of nodes.values()) {
			await until('the playlist ends', 5_000, async () => readPlaylist(await (await fetch(`${at.url}/v1/rooms/${ROOM}/hls/live.m3u8`)).text()).ended);
		}
	});
});

// Finished recordings in a bucket: the real client against an S3 server of the test's own.
import { readdirSync, statSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../support/cluster/until.ts';
import { RostrumProcess } from '../support/process/rostrum-process.ts';
import { Bucket } from '../support/recording/bucket.ts';
import { listenTo, type Replay, replaysOf, speakIn, whenReady } from '../support/recording/replay.ts';
import { samplesOf } from '../support/scrape.ts';
import { tone } from '../support/speech/speech.ts';
import { Receiver } from '../support/webhooks/receiver.ts';

const FILES = ['audio.m4a', 'audio.opus', 'captions.vtt', 'chapters.json', 'chapters.vtt', 'recording.json'];

describe('recordings in a bucket', () => {
	let bucket: Bucket;
	let server: RostrumProcess;

	beforeAll(async () => {
		bucket = await Bucket.start();
		server = await RostrumProcess.start({ mediaPort: 30_700, env: bucket.env });
	});
	afterAll(async () => {
		await server?.stop();
		await bucket?.close();
	});

	it('are stored, listed, played in pieces and deleted', async () => {
		const room = await server.room({ id: 'kept' });
		const ann = await speakIn(server, room, 'Ann');
		ann.talk(await tone(440, 20));
		const { id } = await server.json<{ id: string }>('POST', `/v1/rooms/${room}/recordings`);
		const parts = path.join(server.dataDir, 'recordings', room, id, 'parts');
		await until('some seconds of it are on disk', 20_000, async () => readdirSync(parts).length > 0);
		await new Promise((resolve) => setTimeout(resolve, 4_000)); // Of what is said in that time the test speaks.
		await server.json('POST', `/v1/rooms/${room}/recordings/${id}/stop`);
		ann.close();
		const replay = await whenReady(server, room, id);
		// It can be heard before it is stored.
		await until('it is in the bucket', 15_000, () => Promise.resolve(bucket.objects.toSorted().join(' ') === FILES.map((file) => `recordings/${room}/${id}/${file}`).join(' ')));
		await until('nothing is left on disk', 5_000, async () => readdirSync(path.join(server.dataDir, 'recordings', room)).length === 0);
		expect((await replaysOf(server, room)).map((each) => each.id)).toEqual([id]);

		const opus = new URL(`/v1/rooms/${room}/recordings/${id}/audio.opus`, server.url);
		expect((await listenTo(opus)).length).toBeGreaterThan(48 * 3_000);
		const whole = Buffer.from(await (await fetch(opus)).arrayBuffer());
		expect(whole.length).toBe(replay.audio[0]?.bytes);
		const piece = await fetch(opus, { headers: { range: 'bytes=100-199' } });
		expect(piece.status).toBe(206);
		expect(piece.headers.get('content-type')).toBe('audio/ogg');
		expect(piece.headers.get('content-range')).toBe(`bytes 100-199/${whole.length}`);
		expect(Buffer.from(await piece.arrayBuffer()).equals(whole.subarray(100, 200))).toBe(true);
		expect((await fetch(opus, { headers: { range: `bytes=${whole.length}-` } })).status).toBe(416);
		const head = await fetch(opus, { method: 'HEAD' });
		expect(head.headers.get('content-length')).toBe(String(whole.length));
		expect((await fetch(opus, { headers: { 'if-none-match': head.headers.get('etag') ?? '' } })).status).toBe(304);

		expect((await server.call('DELETE', `/v1/rooms/${room}/recordings/${id}`)).status).toBe(204);
		expect(bucket.objects).toEqual([]);
		expect((await fetch(opus)).status).toBe(404);
	});
});

describe('a bucket that is away', () => {
	let bucket: Bucket;
	let receiver: Receiver;
	let dataDir: string;
	let server: RostrumProcess;
	// Shards of a process that was killed need a moment to notice; the next one has ports of its own.
	let mediaPort = 20_400;
	const start = async (env: Record<string, string> = {}) => {
		server = await RostrumProcess.start({ mediaPort: (mediaPort += 100), dataDir, env: { ...bucket.env, ROSTRUM_ROOMS_DEMO: 'false', ROSTRUM_LISTENER_SHARDS: '1', ROSTRUM_WEBHOOKS_ALLOW_PRIVATE_ADDRESSES: 'true', ROSTRUM_WEBHOOKS_FIRST_RETRY_MS: '50', ...env } });
	};
	const away = ({ recordings: [first] }: { recordings: Replay[] }) => first?.problem?.code === 'storage_unavailable';
	const list = (room: string) => server.json<{ recordings: Replay[]; partial?: boolean }>('GET', `/v1/rooms/${room}/recordings`);

	beforeAll(async () => {
		[bucket, receiver, dataDir] = await Promise.all([Bucket.start(), Receiver.start(), mkdtemp(path.join(tmpdir(), 'rostrum-s3-'))]);
		await start();
	});
	afterAll(async () => {
		await server?.stop('SIGKILL');
		await Promise.all([bucket?.close(), receiver?.stop(), rm(dataDir, { recursive: true, force: true })]);
	});

	it('gets a recording when it is back, over a restart; until then it is kept, told of, mixed once and played from here', { timeout: 150_000 }, async () => {
		await server.json('POST', '/v1/admin/webhooks', { url: receiver.url, events: ['recording.hindered', 'recording.ready'] });
		const room = await server.room({ id: 'later' });
		const { id } = await server.json<{ id: string }>('POST', `/v1/rooms/${room}/recordings`);
		const folder = path.join(dataDir, 'recordings', room, id);
		await until('a part is there', 20_000, async () => readdirSync(path.join(folder, 'parts')).length > 0);
		await new Promise((resolve) => setTimeout(resolve, 2_500)); // So long is recorded.
		await bucket.away();
		await server.json('POST', `/v1/rooms/${room}/recordings/${id}/stop`);
		await until('it is said that the bucket is away', 30_000, async () => away(await list(room)));
		const { recordings, partial } = await list(room);
		expect(partial).toBe(true);
		expect(recordings[0]).toMatchObject({ id, state: 'ready', problem: { code: 'storage_unavailable', cause: 'ECONNREFUSED' } });
		expect((await receiver.next(({ type }) => type === 'recording.hindered')).data).toMatchObject({ room, recording: id, problem: 'storage_unavailable' });
		const waiting = 'rostrum_recordings_waiting{problem="storage_unavailable"}';
		await until('the figures say so', 10_000, async () => samplesOf(await (await fetch(`${server.url}/metrics`)).text()).get(waiting) === 1);
		const opus = () => new URL(`/v1/rooms/${room}/recordings/${id}/audio.opus`, server.url);
		expect((await listenTo(opus())).length).toBeGreaterThan(48 * 2_000);
		const mixedAtMs = statSync(path.join(folder, 'audio.opus')).mtimeMs;
		// Of a room of which nothing is here it cannot be said what there is.
		expect((await server.call('GET', `/v1/rooms/${await server.room({ id: 'elsewhere' })}/recordings`)).status).toBe(503);

		await server.stop('SIGKILL');
		await start();
		await until('it is tried, and said, again', 40_000, async () => away(await list(room)));
		expect(statSync(path.join(folder, 'audio.opus')).mtimeMs).toBe(mixedAtMs);
		expect(receiver.received.map(({ type }) => type)).not.toContain('recording.ready');

		await bucket.back();
		expect((await receiver.next(({ type }) => type === 'recording.ready')).data).toMatchObject({ recording: id });
		expect(bucket.objects.toSorted()).toEqual(FILES.map((file) => `recordings/${room}/${id}/${file}`));
		await until('nothing is left on disk', 5_000, async () => readdirSync(path.dirname(folder)).length === 0);
		const stored = await list(room);
		expect(stored).toEqual({ recordings: [expect.objectContaining({ id, state: 'ready' })] });
		expect(stored.recordings[0]).not.toHaveProperty('problem');
		expect((await listenTo(opus())).length).toBeGreaterThan(48 * 2_000);
	});

	it('loses what is older than recordings are kept, once it can be asked', async () => {
		expect(bucket.objects.length).toBeGreaterThan(0);
		bucket.age(91 * 86_400_000);
		await bucket.away();
		await server.stop();
		await start();
		await server.waitForLog(({ msg }) => msg === 'old recordings could not be deleted; it is tried again');
		expect(bucket.objects.length).toBeGreaterThan(0);
		await server.stop();
		await bucket.back();
		await start();
		await until('the bucket is empty', 15_000, () => Promise.resolve(bucket.objects.length === 0));
	});

	it('that refuses is told apart from one that is away', async () => {
		await server.stop();
		await start({ ROSTRUM_RECORDING_S3_ACCESS_KEY_ID: 'NOBODY' });
		const room = await server.room({ id: 'refused' });
		const { id } = await server.json<{ id: string }>('POST', `/v1/rooms/${room}/recordings`);
		const parts = path.join(dataDir, 'recordings', room, id, 'parts');
		await until('a part is there', 20_000, async () => readdirSync(parts).length > 0);
		await new Promise((resolve) => setTimeout(resolve, 2_000));
		await server.json('POST', `/v1/rooms/${room}/recordings/${id}/stop`);
		await until('it is said', 30_000, async () => away(await list(room)));
		expect((await list(room)).recordings[0]?.problem?.cause).toBe('InvalidAccessKeyId');
		expect(readdirSync(parts)).toHaveLength(1);
	});
});

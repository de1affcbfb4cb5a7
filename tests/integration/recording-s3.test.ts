// Finished recordings in a bucket: the real client against an S3 server of the test's own.
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../support/cluster/until.ts';
import { RostrumProcess } from '../support/process/rostrum-process.ts';
import { Bucket } from '../support/recording/bucket.ts';
import { listenTo, replaysOf, speakIn, whenReady } from '../support/recording/replay.ts';
import { tone } from '../support/speech/speech.ts';

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
		expect(bucket.objects.toSorted()).toEqual(FILES.map((file) => `recordings/${room}/${id}/${file}`));
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

	it('waits with what it has while the bucket does not answer', async () => {
		const room = await server.room({ id: 'later' });
		const { id } = await server.json<{ id: string }>('POST', `/v1/rooms/${room}/recordings`);
		const parts = path.join(server.dataDir, 'recordings', room, id, 'parts');
		await until('a part is there', 20_000, async () => readdirSync(parts).length > 0);
		await new Promise((resolve) => setTimeout(resolve, 2_500));
		await bucket.close();
		expect((await server.call('GET', `/v1/rooms/${room}/recordings`)).status).toBe(503);
		await server.call('POST', `/v1/rooms/${room}/recordings/${id}/stop`);
		await server.waitForLog(({ msg, room: of }) => msg === 'a recording could not be finished; it is tried again' && of === room);
		expect(readdirSync(parts).length).toBeGreaterThan(0);
		expect((await server.call('GET', '/healthz', undefined, null)).status).toBe(200);
	});
});

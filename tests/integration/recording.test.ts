// Recording on one node, with a real ffmpeg: what is said is heard again, whoever dies meanwhile.
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../support/cluster/until.ts';
import { strengthOf } from '../support/overflow/hls-ear.ts';
import { RostrumProcess } from '../support/process/rostrum-process.ts';
import { between, listenTo, replayOf, replaysOf, speakIn, whenReady } from '../support/recording/replay.ts';
import type { RtcSpeaker } from '../support/rtc/speaker.ts';
import { type SpokenAudio, tone } from '../support/speech/speech.ts';

const MEDIA_PORT = 29_700;
const LOW = 440;
const HIGH = 1_000;

let server: RostrumProcess;
let low: SpokenAudio;
let high: SpokenAudio;
const speakers: RtcSpeaker[] = [];

beforeAll(async () => {
	[server, low, high] = await Promise.all([RostrumProcess.start({ mediaPort: MEDIA_PORT }), tone(LOW, 60), tone(HIGH, 60)]);
});
afterEach(() => {
	for (const speaker of speakers.splice(0)) {
		speaker.close();
	}
});
afterAll(() => server?.stop());

async function speak(room: string, name: string, on = server): Promise<RtcSpeaker> {
	const speaker = await speakIn(on, room, name);
	speaker.silence();
	speakers.push(speaker);
	return speaker;
}
const record = (room: string, on = server) => on.json<{ id: string; state: string }>('POST', `/v1/rooms/${room}/recordings`);
const stop = (room: string, id: string, on = server) => on.json<{ state: string }>('POST', `/v1/rooms/${room}/recordings/${id}/stop`);
const at = (room: string, id: string, file: string, on = server) => new URL(`/v1/rooms/${room}/recordings/${id}/${file}`, on.url);
const folderOf = (room: string, id: string, dataDir = server.dataDir) => path.join(dataDir, 'recordings', room, id);
const partsOf = (room: string, id: string, dataDir = server.dataDir) => readdirSync(path.join(folderOf(room, id, dataDir), 'parts')).map((part) => path.join(folderOf(room, id, dataDir), 'parts', part));
/** How much of it is on disk, by its own log. */
const recordedMs = (part: string) => Math.max(0, ...readFileSync(path.join(part, 'log.jsonl'), 'utf8').split('\n').map((line) => Number(/"untilMs":(\d+)/.exec(line)?.[1] ?? 0)));
const recorded = (room: string, id: string, ms: number, parts = 1, dataDir = server.dataDir) =>
	until(`${ms} ms of part ${parts} are on disk`, 20_000, () => Promise.resolve().then(() => partsOf(room, id, dataDir).toSorted().flatMap((part, index) => (index === parts - 1 ? [recordedMs(part)] : [])).some((each) => each >= ms)));
const strengths = (pcm: Int16Array) => ({ low: strengthOf(pcm, LOW), high: strengthOf(pcm, HIGH) });

describe('recording', () => {
	it('plays what was said, in chapters by who said it, with captions and in pieces', async () => {
		const room = await server.room({ id: 'evening', title: 'An evening' });
		const [ann, ben] = await Promise.all([speak(room, 'Ann'), speak(room, 'Ben')]);
		expect((await server.json<{ recording: boolean }>('GET', `/v1/rooms/${room}`)).recording).toBe(false);
		const started = await server.call('POST', `/v1/rooms/${room}/recordings`);
		expect(started.status).toBe(201);
		const { id } = (await started.json()) as { id: string };
		expect(started.headers.get('location')).toBe(`/v1/rooms/${room}/recordings/${id}`);
		expect((await server.json<{ recording: boolean }>('GET', `/v1/rooms/${room}`)).recording).toBe(true);
		const again = await server.call('POST', `/v1/rooms/${room}/recordings`);
		expect(again.status).toBe(200);
		expect(((await again.json()) as { id: string }).id).toBe(id);
		await recorded(room, id, 1);
		ann.talk(low);
		await recorded(room, id, 8_000);
		ann.silence();
		await server.json('POST', `/v1/rooms/${room}/captions`, { text: 'Good evening & <welcome>', speaker: 'Ben' });
		ben.talk(high);
		await recorded(room, id, 18_000);
		ann.talk(low);
		await recorded(room, id, 20_000);
		expect(await replaysOf(server, room)).toMatchObject([{ id, state: 'recording' }]);
		expect((await fetch(at(room, id, 'audio.opus'))).status).toBe(404);
		const { state } = await stop(room, id);
		expect(['processing', 'ready']).toContain(state);
		expect((await server.json<{ recording: boolean }>('GET', `/v1/rooms/${room}`)).recording).toBe(false);

		const replay = await whenReady(server, room, id);
		expect(replay).toMatchObject({ title: 'An evening', incomplete: false });
		expect(replay.durationMs).toBeGreaterThan(19_500);
		expect(replay.speakers.map(({ name }) => name)).toEqual(['Ann', 'Ben']);
		expect(replay.chapters.map(({ name }) => name).slice(0, 2)).toEqual(['Ann', 'Ben']);
		const ofBen = replay.chapters[1]?.startMs ?? 0;
		for (const { url } of replay.audio) {
			const pcm = await listenTo(new URL(url, server.url));
			expect(Math.abs(pcm.length / 48 - replay.durationMs)).toBeLessThan(100);
			const [first, second, third] = [strengths(between(pcm, ofBen - 3_000, ofBen - 1_500)), strengths(between(pcm, ofBen + 1_000, ofBen + 5_000)), strengths(between(pcm, replay.durationMs - 900, replay.durationMs - 300))];
			console.log('  strengths', url, first, second, third);
			expect(first.low).toBeGreaterThan(0.05);
			expect(first.high).toBeLessThan(0.01);
			expect(second.high).toBeGreaterThan(0.05);
			expect(second.low).toBeLessThan(0.01);
			expect(Math.min(third.low, third.high)).toBeGreaterThan(0.04);
		}
		const captions = await (await fetch(new URL(replay.captions?.url ?? '', server.url))).text();
		expect(captions).toMatch(/^WEBVTT\n\n00:00:\d\d\.\d{3} --> 00:00:\d\d\.\d{3}\n<v Ben>Good evening &amp; &lt;welcome&gt;\n/);
		expect(((await (await fetch(at(room, id, 'chapters.json'))).json()) as { chapters: unknown[] }).chapters).toEqual(replay.chapters);
		expect(await (await fetch(at(room, id, 'chapters.vtt'))).text()).toContain('\nBen\n');

		const whole = Buffer.from(await (await fetch(at(room, id, 'audio.m4a'))).arrayBuffer());
		expect(whole.length).toBe(replay.audio[1]?.bytes);
		const piece = await fetch(at(room, id, 'audio.m4a'), { headers: { range: 'bytes=1000-1999' } });
		expect(piece.status).toBe(206);
		expect(piece.headers.get('content-type')).toBe('audio/mp4');
		expect(piece.headers.get('content-range')).toBe(`bytes 1000-1999/${whole.length}`);
		expect(Buffer.from(await piece.arrayBuffer()).equals(whole.subarray(1_000, 2_000))).toBe(true);
		expect((await fetch(at(room, id, 'audio.m4a'), { headers: { range: `bytes=${whole.length + 5}-` } })).status).toBe(416);
		const head = await fetch(at(room, id, 'audio.opus'), { method: 'HEAD' });
		expect(head.headers.get('content-length')).toBe(String(replay.audio[0]?.bytes));
		expect(head.headers.get('accept-ranges')).toBe('bytes');
		expect(head.headers.get('etag')).toMatch(/^(W\/)?"[^"]+"$/);
		// What it was made of is gone.
		await until('it is tidied up', 5_000, async () => !readdirSync(folderOf(room, id)).includes('parts'));

		const listener = await server.token(room, 'listener', 'Lou');
		expect((await server.call('DELETE', `/v1/rooms/${room}/recordings/${id}`, undefined, listener.token)).status).toBe(403);
		const host = await server.token(room, 'host', 'Hilda');
		expect((await server.call('DELETE', `/v1/rooms/${room}/recordings/${id}`, undefined, host.token)).status).toBe(204);
		expect((await server.call('GET', `/v1/rooms/${room}/recordings/${id}`)).status).toBe(404);
		expect((await fetch(at(room, id, 'audio.opus'))).status).toBe(404);
		expect(await replaysOf(server, room)).toEqual([]);
	});

	it('begins with going live where the room says so, and ends with the room', async () => {
		const room = await server.room({ id: 'kept', record: true }, 'open');
		expect(await replaysOf(server, room)).toEqual([]);
		await server.json('POST', `/v1/rooms/${room}/start`);
		await until('it is being recorded', 5_000, async () => (await replaysOf(server, room))[0]?.state === 'recording');
		const [{ id } = { id: '' }] = await replaysOf(server, room);
		await recorded(room, id, 1_500);
		expect((await server.call('DELETE', `/v1/rooms/${room}/recordings/${id}`)).status).toBe(409);
		await server.json('POST', `/v1/rooms/${room}/end`);
		const replay = await whenReady(server, room, id);
		expect(replay.chapters).toEqual([]);
		expect((await server.call('POST', `/v1/rooms/${room}/recordings`)).status).toBe(410);
	});

	it('asks of a private room what listening asks', async () => {
		const room = await server.room({ id: 'closed-circle', visibility: 'private' });
		const { id } = await record(room);
		await recorded(room, id, 1_500);
		await stop(room, id);
		await whenReady(server, room, id);
		const { token } = await server.token(room, 'listener', 'Lou');
		const elsewhere = await server.token(await server.room({ id: 'elsewhere' }), 'listener', 'Eve');
		for (const file of ['', '/audio.opus', '/captions.vtt']) {
			const target = `/v1/rooms/${room}/recordings/${id}${file}`;
			expect((await server.call('GET', target, undefined, null)).status).toBe(401);
			expect((await server.call('GET', target, undefined, elsewhere.token)).status).toBe(403);
			expect((await fetch(new URL(`${target}?access_token=${token}`, server.url))).status).toBe(200);
		}
		expect((await server.call('GET', `/v1/rooms/${room}/recordings`, undefined, null)).status).toBe(401);
		expect((await fetch(at(room, id, `audio.opus?access_token=${token}`))).headers.get('cache-control')).toMatch(/private/);
		expect((await server.call('POST', `/v1/rooms/${room}/recordings`, undefined, token)).status).toBe(403);
		expect((await server.call('POST', `/v1/rooms/${room}/recordings/${id}/stop`, undefined, token)).status).toBe(403);
	});

	it('goes on in another part when the shard dies that it began at', async () => {
		const room = await server.room({ id: 'shard' });
		const ann = await speak(room, 'Ann');
		const { id } = await record(room);
		ann.talk(low);
		await recorded(room, id, 4_000);
		const shard = Number(server.logLines.findLast(({ msg, room: of }) => msg === 'a part of a recording begins' && of === room)?.['shard']);
		process.kill((await server.shardPids()).get(shard)!.pid, 'SIGKILL');
		const killedAtMs = Date.now();
		await recorded(room, id, 4_000, 2);
		const takenMs = Date.now() - killedAtMs;
		await stop(room, id);
		const replay = await whenReady(server, room, id);
		// Whatever is lost, time goes on.
		expect(replay.durationMs).toBeGreaterThan(4_000 + takenMs - 1_500);
		const pcm = await listenTo(at(room, id, 'audio.opus'));
		const heardMs = silencesOf(pcm).reduce((sum, ms) => sum - ms, pcm.length / 48);
		console.log('  lost', Math.round(replay.durationMs - heardMs), 'ms of', replay.durationMs);
		expect(replay.durationMs - heardMs).toBeLessThan(5_000);
	});

	it('is tried again when ffmpeg is killed while it mixes', async () => {
		const dir = await mkdtemp(path.join(tmpdir(), 'rostrum-ffmpeg-'));
		const wrapper = path.join(dir, 'ffmpeg');
		writeFileSync(wrapper, `#!/bin/sh\ncase "$*" in *mix.ffconcat*) if [ ! -e ${dir}/killed ]; then touch ${dir}/killed; kill -9 $$; fi;; esac\nexec ffmpeg "$@"\n`);
		await chmod(wrapper, 0o755);
		const other = await RostrumProcess.start({ mediaPort: MEDIA_PORT + 100, env: { ROSTRUM_RECORDING_FFMPEG_PATH: wrapper } });
		try {
			const room = await other.room({ id: 'twice' });
			const { id } = await record(room, other);
			await recorded(room, id, 1_500, 1, other.dataDir);
			await stop(room, id, other);
			await whenReady(other, room, id);
			expect(statSync(path.join(dir, 'killed')).isFile()).toBe(true);
			expect(other.logLines.some(({ msg }) => msg === 'a recording could not be finished; it is tried again')).toBe(true);
		} finally {
			await other.stop();
			await rm(dir, { recursive: true, force: true });
		}
	});

	it('loses less than five seconds when the node is killed, goes on after its start, and is deleted when it is too old', async () => {
		const dataDir = await mkdtemp(path.join(tmpdir(), 'rostrum-recording-'));
		const options = { mediaPort: MEDIA_PORT + 100, dataDir };
		let node = await RostrumProcess.start(options);
		try {
			const room = await node.room({ id: 'killed' });
			const first = await speak(room, 'Ann', node);
			const { id } = await record(room, node);
			await recorded(room, id, 1, 1, dataDir);
			first.talk(low);
			const talkedAtMs = Date.now();
			await recorded(room, id, 7_000, 1, dataDir);
			await node.stop('SIGKILL');
			const saidMs = Date.now() - talkedAtMs;
			first.close();
			// As if the last write had been cut off in its middle.
			const [part = ''] = partsOf(room, id, dataDir);
			writeFileSync(path.join(part, 'voices.ogg'), 'OggS\0\0half a page', { flag: 'a' });
			writeFileSync(path.join(part, 'log.jsonl'), '{"untilMs":99', { flag: 'a' });

			node = await RostrumProcess.start(options);
			const second = await speak(room, 'Ben', node);
			second.talk(high);
			await recorded(room, id, 5_000, 2, dataDir);
			await stop(room, id, node);
			const replay = await whenReady(node, room, id);
			expect(replay.chapters.map(({ name }) => name)).toEqual(['Ann', 'Ben']);
			const pcm = await listenTo(at(room, id, 'audio.opus', node));
			const lowMs = lengthOf(pcm, LOW);
			console.log('  said', saidMs, 'ms, kept', lowMs, 'ms; of the second', lengthOf(pcm, HIGH), 'ms');
			expect(lowMs).toBeGreaterThan(saidMs - 5_000);
			expect(lengthOf(pcm, HIGH)).toBeGreaterThan(3_000);

			await node.stop();
			const file = path.join(folderOf(room, id, dataDir), 'recording.json');
			const kept = JSON.parse(readFileSync(file, 'utf8')) as { endedAt: string };
			writeFileSync(file, JSON.stringify({ ...kept, endedAt: new Date(Date.parse(kept.endedAt) - 91 * 86_400_000).toISOString() }));
			node = await RostrumProcess.start(options);
			await until('it is deleted', 15_000, async () => (await replaysOf(node, room)).length === 0);
			expect(readdirSync(path.join(dataDir, 'recordings', room))).toEqual([]);
		} finally {
			await node.stop('SIGKILL');
			await rm(dataDir, { recursive: true, force: true });
		}
	});

	it('finishes at the next start what was cut off before it was mixed', async () => {
		const dataDir = await mkdtemp(path.join(tmpdir(), 'rostrum-recording-'));
		// Nothing can be mixed while there is no ffmpeg; then nothing is recorded either, so it goes away after the start.
		let node = await RostrumProcess.start({ mediaPort: MEDIA_PORT + 100, dataDir, env: { ROSTRUM_RECORDING_FFMPEG_PATH: 'ffmpeg' } });
		try {
			const room = await node.room({ id: 'late' });
			const { id } = await record(room, node);
			await recorded(room, id, 2_000, 1, dataDir);
			await node.stop('SIGKILL');
			node = await RostrumProcess.start({ mediaPort: MEDIA_PORT + 100, dataDir, env: { ROSTRUM_RECORDING_FFMPEG_PATH: '/nowhere/ffmpeg' } });
			await node.waitForLog(({ msg }) => msg === 'no recordings on this node; everything else works');
			const ready = (await (await fetch(new URL('/readyz', node.url))).json()) as { status: string; components: { name: string; ready: boolean; detail?: string }[] };
			expect(ready.status).toBe('ready');
			expect(ready.components.find(({ name }) => name === 'recording')).toEqual({ name: 'recording', ready: false, detail: 'there is no /nowhere/ffmpeg' });
			const refused = await node.call('POST', `/v1/rooms/${await node.room({ id: 'other' })}/recordings`);
			expect(refused.status).toBe(503);
			expect(await refused.json()).toMatchObject({ code: 'recording_unavailable' });
			await node.json('POST', `/v1/rooms/${room}/end`);
			await until('it waits', 5_000, async () => (await replayOf(node, room, id)).state === 'processing');
			await node.stop('SIGKILL');
			node = await RostrumProcess.start({ mediaPort: MEDIA_PORT + 100, dataDir });
			await whenReady(node, room, id);
			expect((await listenTo(at(room, id, 'audio.m4a', node))).length).toBeGreaterThan(48 * 1_900);
		} finally {
			await node.stop('SIGKILL');
			await rm(dataDir, { recursive: true, force: true });
		}
	});
});

/** Stretches of silence of more than 60 ms, in milliseconds. */
function silencesOf(pcm: Int16Array): number[] {
	const frames = Array.from({ length: Math.floor(pcm.length / 960) }, (_, frame) => pcm.subarray(frame * 960, (frame + 1) * 960).some((sample) => Math.abs(sample) > 300));
	return (frames.map((loud) => (loud ? '1' : '0')).join('').match(/0{3,}/g) ?? []).map((run) => run.length * 20);
}

/** For how long that tone is to be heard. */
function lengthOf(pcm: Int16Array, hz: number): number {
	return Array.from({ length: Math.floor(pcm.length / 4_800) }, (_, index) => strengthOf(pcm.subarray(index * 4_800, (index + 1) * 4_800), hz)).filter((strength) => strength > 0.04).length * 100;
}

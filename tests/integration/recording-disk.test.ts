// The disk is full while a room is recorded, when its recording ends, and while it is mixed: real files on a small file system of the test's own.
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { mix } from '../../server/recording/mix.ts';
import { readPartLog } from '../../server/recording/part-log.ts';
import { timelineOf } from '../../server/recording/timeline.ts';
import { until } from '../support/cluster/until.ts';
import { strengthOf } from '../support/overflow/hls-ear.ts';
import { RostrumProcess } from '../support/process/rostrum-process.ts';
import { writeLongCapture } from '../support/recording/long-capture.ts';
import { between, listenTo, replayOf, replaysOf, speakIn, whenReady } from '../support/recording/replay.ts';
import { SmallDisk } from '../support/recording/small-disk.ts';
import { RtcListener } from '../support/rtc/listener.ts';
import type { RtcSpeaker } from '../support/rtc/speaker.ts';
import { samplesOf } from '../support/scrape.ts';
import { tone } from '../support/speech/speech.ts';
import { Receiver } from '../support/webhooks/receiver.ts';

/** Shards of a process that was killed need a moment to notice; the next one has ports of its own. */
let mediaPort = 22_400;
const MB = 1_000_000;
const LOW = 440;
const HIGH = 1_000;
const whyNot = SmallDisk.whyNot();
if (whyNot !== undefined) console.log(`  skipped: ${whyNot}`);

const problemOf = async (server: RostrumProcess, room: string, id: string) => (await replayOf(server, room, id)).problem?.code;
const figure = async (server: RostrumProcess, name: string) => samplesOf(await (await fetch(`${server.url}/metrics`)).text()).get(name);
const partsOf = (folder: string, room: string, id: string) => {
	const parts = path.join(folder, room, id, 'parts');
	return readdirSync(parts).toSorted().flatMap((part) => readPartLog(part, readFileSync(path.join(parts, part, 'log.jsonl'), 'utf8')) ?? []);
};
const recordedMs = (folder: string, room: string, id: string, part: number) => Promise.resolve().then(() => partsOf(folder, room, id)[part]?.durationMs ?? 0);

describe.skipIf(whyNot !== undefined)('a full disk', () => {
	let dataDir: string;
	let disk: SmallDisk;
	let server: RostrumProcess;
	let receiver: Receiver;
	const people: { close(): unknown }[] = [];
	const speak = async (room: string, name: string): Promise<RtcSpeaker> => {
		const speaker = await speakIn(server, room, name);
		people.push(speaker);
		return speaker;
	};
	beforeAll(async () => {
		dataDir = await mkdtemp(path.join(tmpdir(), 'rostrum-disk-'));
		receiver = await Receiver.start();
	});
	afterEach(async () => {
		for (const person of people.splice(0)) person.close();
		await server?.stop('SIGKILL');
		disk?.unmount();
	});
	afterAll(async () => {
		await receiver?.stop();
		await rm(dataDir, { recursive: true, force: true });
	});
	const start = (env: Record<string, string>) => RostrumProcess.start({ mediaPort: (mediaPort += 100), dataDir, env: { ROSTRUM_ROOMS_DEMO: 'false', ROSTRUM_WEBHOOKS_ALLOW_PRIVATE_ADDRESSES: 'true', ROSTRUM_WEBHOOKS_FIRST_RETRY_MS: '50', ...env } });

	it('pauses a recording before everything else is in want of it, harms no room, is told everywhere, and is over when there is room', { timeout: 150_000 }, async () => {
		disk = SmallDisk.mount(dataDir, 60);
		server = await start({ ROSTRUM_RECORDING_RESERVE_MB: '20' });
		const folder = path.join(dataDir, 'recordings');
		await server.json('POST', '/v1/admin/webhooks', { url: receiver.url, events: ['recording.hindered', 'recording.resumed', 'recording.ready'] });
		const room = await server.room({ id: 'hall' });
		const ann = await speak(room, 'Ann');
		ann.talk(await tone(LOW, 60));
		const { id } = await server.json<{ id: string }>('POST', `/v1/rooms/${room}/recordings`);
		await until('some of it is on disk', 20_000, async () => (await recordedMs(folder, room, id, 0)) > 3_000);
		const listener = await RtcListener.join(async (offer) => (await fetch(`${server.url}/v1/rooms/${room}/listen`, { method: 'POST', headers: { 'content-type': 'application/sdp' }, body: offer })).text());
		people.push(listener);

		disk.fill(15 * MB);
		await until('the recording is hindered', 10_000, async () => (await problemOf(server, room, id)) === 'disk_full');
		const [keptMs] = partsOf(folder, room, id).map(({ durationMs }) => durationMs);
		expect(partsOf(folder, room, id)).toHaveLength(1);
		expect((await replaysOf(server, room))[0]).toMatchObject({ id, state: 'recording', problem: { code: 'disk_full', since: expect.stringMatching(/^20/) as string } });
		expect(await figure(server, 'rostrum_recordings_paused')).toBe(1);
		expect(await figure(server, 'rostrum_recording_problems_total{problem="disk_full"}')).toBe(1);
		expect(await figure(server, 'rostrum_recording_disk_reserve_bytes')).toBe(20 * MB);
		expect((await receiver.next(({ type }) => type === 'recording.hindered')).data).toMatchObject({ room, recording: id, problem: 'disk_full' });
		expect(server.logLines.find(({ msg }) => msg.startsWith('a recording is hindered'))).toMatchObject({ room, recording: id, problem: 'disk_full' });
		const ready = (await (await fetch(`${server.url}/readyz`)).json()) as { status: string; components: { name: string }[] };
		expect(ready.status).toBe('ready');
		expect(ready.components.find(({ name }) => name === 'recording')).toMatchObject({ ready: false, detail: 'the disk is full' });

		// Everything else goes on: who listens hears, and what is to be written is.
		await listener.morePackets(40);
		const other = await server.room({ id: 'other' });
		const refused = await server.call('POST', `/v1/rooms/${other}/recordings`);
		expect(refused.status).toBe(503);
		expect(await refused.json()).toMatchObject({ code: 'recording_unavailable', detail: 'This room cannot be recorded: the disk is full' });
		const { entries } = await server.json<{ entries: { action: string }[] }>('GET', `/v1/admin/audit?room=${other}`);
		expect(entries.map(({ action }) => action)).toEqual(['recording.start', 'room.start', 'room.open', 'room.create']);
		expect(await figure(server, 'rostrum_audit_lost_total')).toBe(0);

		disk.clear();
		await until('it is recorded again', 15_000, async () => (await recordedMs(folder, room, id, 1)) > 2_000);
		expect(await problemOf(server, room, id)).toBeUndefined();
		expect(await figure(server, 'rostrum_recordings_paused')).toBe(0);
		await receiver.next(({ type }) => type === 'recording.resumed');
		await server.json('POST', `/v1/rooms/${room}/recordings/${id}/stop`);
		const replay = await whenReady(server, room, id);
		const pcm = await listenTo(new URL(replay.audio[0]?.url ?? '', server.url));
		for (const [fromMs, toMs] of [[1_000, keptMs! - 500], [replay.durationMs - 1_500, replay.durationMs - 500]] as const) {
			expect(strengthOf(between(pcm, fromMs, toMs), LOW)).toBeGreaterThan(0.1);
		}
		await receiver.next(({ type }) => type === 'recording.ready');
	});

	it('costs what was said meanwhile and nothing else when there is not a byte left, also when the recording ends and the node dies meanwhile', { timeout: 150_000 }, async () => {
		const folder = path.join(dataDir, 'recordings');
		disk = SmallDisk.mount(folder, 8);
		const env = { ROSTRUM_RECORDING_RESERVE_MB: '0' };
		server = await start(env);
		const room = await server.room({ id: 'last-byte' });
		const ben = await speak(room, 'Ben');
		ben.talk(await tone(HIGH, 60));
		const { id } = await server.json<{ id: string }>('POST', `/v1/rooms/${room}/recordings`);
		await until('some of it is on disk', 20_000, async () => (await recordedMs(folder, room, id, 0)) > 4_000);
		disk.fill();
		await until('the recording is hindered', 15_000, async () => (await problemOf(server, room, id)) === 'disk_full');
		// However often it is tried: nothing piles up.
		const attempts = () => server.logLines.filter(({ msg }) => msg === 'a part of a recording begins').length;
		const begun = attempts();
		await new Promise((resolve) => setTimeout(resolve, 4_000));
		expect(attempts()).toBeLessThanOrEqual(begun + 1);
		expect(readdirSync(path.join(folder, room, id, 'parts')).length).toBeLessThanOrEqual(2);
		const [keptMs = 0] = partsOf(folder, room, id).map(({ durationMs }) => durationMs);
		expect(keptMs).toBeGreaterThan(3_500);
		expect((await server.json<{ state: string }>('GET', `/v1/rooms/${room}`)).state).toBe('live');

		// That it has ended cannot be written either.
		await server.call('POST', `/v1/rooms/${room}/recordings/${id}/stop`);
		await until('it waits', 10_000, async () => (await replaysOf(server, room))[0]?.state === 'processing');
		ben.close();
		await server.stop('SIGKILL');
		server = await start(env);
		await new Promise((resolve) => setTimeout(resolve, 1_000)); // Whatever it tries, there is no room yet.
		expect((await replaysOf(server, room))[0]).toMatchObject({ id, state: 'processing' });
		disk.clear();
		const replay = await whenReady(server, room, id);
		expect(replay.durationMs).toBeGreaterThanOrEqual(keptMs);
		expect(strengthOf(between(await listenTo(new URL(replay.audio[1]?.url ?? '', server.url)), 1_000, keptMs - 500), HIGH)).toBeGreaterThan(0.1);
		// Nothing is left of what was tried.
		await until('it is tidied up', 5_000, () => Promise.resolve(readdirSync(path.join(folder, room, id)).join(' ') === 'audio.m4a audio.opus captions.vtt chapters.json chapters.vtt recording.json'));
	});

	it('lets a recording wait that is to be mixed, until there is room for the mix', { timeout: 150_000 }, async () => {
		disk = SmallDisk.mount(path.join(dataDir, 'recordings'), 8);
		server = await start({ ROSTRUM_RECORDING_RESERVE_MB: '1' });
		const room = await server.room({ id: 'mixing' });
		(await speak(room, 'Ann')).talk(await tone(LOW, 60));
		const { id } = await server.json<{ id: string }>('POST', `/v1/rooms/${room}/recordings`);
		await until('some of it is on disk', 20_000, async () => (await recordedMs(disk.folder, room, id, 0)) > 2_000);
		// Room for what is said until it is stopped, and not for a mix.
		disk.fill(1.2 * MB);
		await server.json('POST', `/v1/rooms/${room}/recordings/${id}/stop`);
		await until('it waits for the disk', 10_000, async () => (await problemOf(server, room, id)) === 'disk_full');
		expect((await replaysOf(server, room))[0]).toMatchObject({ state: 'processing' });
		await until('the figures say so', 10_000, async () => (await figure(server, 'rostrum_recordings_waiting{problem="disk_full"}')) === 1);
		disk.clear();
		expect((await whenReady(server, room, id)).problem).toBeUndefined();
		await until('the figures say so', 10_000, async () => (await figure(server, 'rostrum_recordings_waiting{problem="disk_full"}')) === undefined);
	});

	it('that fills up while ffmpeg writes leaves all parts and no half a mix', async () => {
		disk = SmallDisk.mount(path.join(dataDir, 'mix'), 2);
		const partFolder = (part: string) => path.join(disk.folder, 'parts', part);
		await writeLongCapture(partFolder, 1_700_000_000_000, 120_000);
		const timeline = timelineOf(['part-1', 'part-2'].map((part) => readPartLog(part, readFileSync(path.join(partFolder(part), 'log.jsonl'), 'utf8'))!));
		const before = readdirSync(disk.folder, { recursive: true, encoding: 'utf8' }).toSorted();
		const options = { ffmpegPath: 'ffmpeg', opusKbps: 48, aacKbps: 80, folder: disk.folder, partFolder, title: 'Long', timeline, signal: new AbortController().signal };
		disk.fill(0.5 * MB);
		await expect(mix(options)).rejects.toMatchObject({ code: 'disk_full', word: 'ENOSPC' });
		disk.clear();
		expect(readdirSync(disk.folder, { recursive: true, encoding: 'utf8' }).toSorted()).toEqual(before);
		// A mix of two minutes takes some 2 MB; with the parts that is more than this disk has.
		await expect(mix(options)).rejects.toMatchObject({ code: 'disk_full' });
		await mix({ ...options, opusKbps: 16, aacKbps: 24 });
		expect(readdirSync(disk.folder).toSorted()).toEqual(['audio.m4a', 'audio.opus', 'parts']);
	});
});

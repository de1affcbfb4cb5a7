// A recording of hours: that it becomes a replay in bounded memory, and that the last hour is as right as the first.
// ROSTRUM_TEST_RECORDING_HOURS=6 makes it as long as that; mixing an hour takes about a minute of one core.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { RecordingFolders } from '../../server/recording/recording-folders.ts';
import type { Chapter, RecordingRecord } from '../../server/recording/recording-record.ts';
import { S3Storage } from '../../server/recording/s3-storage.ts';
import { timelineOf } from '../../server/recording/timeline.ts';
import { captionsVtt } from '../../server/recording/webvtt.ts';
import { strengthOf } from '../support/overflow/hls-ear.ts';
import { Bucket } from '../support/recording/bucket.ts';
import type { FinishFigures } from '../support/recording/finish-child.ts';
import { CAPTION_MS, GAP_MS, SPEAKERS, speakerOf, TURN_MS, writeLongCapture } from '../support/recording/long-capture.ts';
import { listenTo } from '../support/recording/replay.ts';

const HOUR_MS = 3_600_000;
const MB = 1_000_000;
const HOURS = Number(process.env['ROSTRUM_TEST_RECORDING_HOURS'] ?? 0.2);
const START_MS = Date.parse('2026-05-24T18:00:00.000Z');
const ROOM = 'marathon';
const ID = 'long';

let root: string;
let bucket: Bucket;
beforeAll(async () => {
	root = await mkdtemp(path.join(tmpdir(), 'rostrum-long-'));
	bucket = await Bucket.start();
});
afterAll(async () => {
	await bucket?.close();
	await rm(root, { recursive: true, force: true });
});

const record = (totalMs: number): RecordingRecord => ({
	id: ID, roomId: ROOM, roomCreatedAt: '2026-05-24T17:00:00.000Z', title: 'A marathon', state: 'stopped', startedAt: new Date(START_MS).toISOString(), endedAt: new Date(START_MS + totalMs).toISOString(),
	nodes: ['node-a'], missing: [], durationMs: 0, files: {}, captions: false, speakers: [], chapters: [],
});

/** Each turn is a chapter. A word or two on either side of the gap between the parts does not make one more. */
function expectChapters(chapters: readonly Chapter[], totalMs: number): void {
	expect(chapters).toHaveLength(Math.ceil(totalMs / TURN_MS));
	chapters.forEach(({ startMs, endMs, number, name }, turn) => {
		const speaker = speakerOf(turn);
		expect([number, name]).toEqual([speaker.number, speaker.name]);
		expect(Math.abs(startMs - turn * TURN_MS)).toBeLessThanOrEqual(GAP_MS);
		expect(endMs).toBe(chapters[turn + 1]?.startMs ?? totalMs);
	});
	expect(chapters.filter(({ startMs }, turn) => startMs !== turn * TURN_MS).length).toBeLessThanOrEqual(1);
}

it('of six hours has its chapters and captions where they belong, to the last second', async () => {
	const totalMs = 6 * HOUR_MS;
	const folders = new RecordingFolders(path.join(root, 'six'));
	await writeLongCapture((part) => folders.partFolder(ROOM, ID, part), START_MS, totalMs);
	const startedAtMs = performance.now();
	const { durationMs, chapters, cues, speakers } = timelineOf(await folders.parts(ROOM, ID));
	console.log(`  timeline of six hours: ${Math.round(performance.now() - startedAtMs)} ms, ${chapters.length} chapters, ${cues.length} captions`);
	expect(durationMs).toBe(totalMs);
	expectChapters(chapters, totalMs);
	expect(speakers.map(({ name }) => name)).toEqual(SPEAKERS.map(({ name }) => name));
	const vtt = captionsVtt(cues);
	expect(vtt).toContain('\n\n00:00:00.000 --> 00:00:07.000\n<v Ann>Line 0\n');
	expect(vtt).toContain('\n\n03:00:00.000 --> 03:00:07.000\n<v Ann>Line 1080\n');
	expect(vtt).toMatch(/\n\n05:59:50\.000 --> 05:59:57\.000\n<v Eve &amp; &lt;Co&gt;>Line 2159\n$/);
	await rm(path.join(root, 'six'), { recursive: true });
});

it('becomes a replay piece by piece: neither this program nor ffmpeg has it in memory as a whole, nor the upload', { timeout: 60_000 + HOURS * 600_000 }, async () => {
	const totalMs = Math.round((HOURS * HOUR_MS) / TURN_MS) * TURN_MS;
	const folders = new RecordingFolders(root);
	const bytes = await writeLongCapture((part) => folders.partFolder(ROOM, ID, part), START_MS, totalMs);
	await folders.put(record(totalMs));
	const child = fork(path.resolve(import.meta.dirname, '../support/recording/finish-child.ts'), [root, ROOM, ID, bucket.url, bucket.name]);
	const [figures] = (await Promise.race([once(child, 'message'), once(child, 'exit').then(([code]) => Promise.reject(new Error(`it ended with ${code}`)))])) as [FinishFigures];
	const storage = S3Storage.create({ endpoint: bucket.url, bucket: bucket.name, region: 'us-east-1', prefix: 'recordings/', accessKeyId: 'S3RVER', secretAccessKey: 'S3RVER', pathStyle: true });
	const kept = await storage.get(ROOM, ID);
	storage.close();
	const stored = Object.values(kept?.files ?? {}).reduce((sum, each) => sum + each, 0);
	console.log(
		`  ${HOURS} h: ${(bytes / MB).toFixed(0)} MB of parts, ${(stored / MB).toFixed(0)} MB of replay, mixed and stored in ${(figures.tookMs / 1_000).toFixed(0)} s; memory: node ${(figures.nodeBytes / MB).toFixed(0)} MB (${(figures.idleBytes / MB).toFixed(0)} before), ffmpeg ${(figures.ffmpegBytes / MB).toFixed(0)} MB`,
	);
	// What grows with time is ffmpeg's index of the MP4, and the upload's pieces are of 5 MB.
	expect(figures.ffmpegBytes).toBeLessThan(100 * MB + HOURS * 20 * MB);
	expect(figures.nodeBytes - figures.idleBytes).toBeLessThan(150 * MB);
	expect(kept).toMatchObject({ state: 'ready', durationMs: totalMs, captions: true, missing: [] });
	expectChapters(kept?.chapters ?? [], totalMs);
	const fileOf = (file: string) => bucket.fileOf(`recordings/${ROOM}/${ID}/${file}`);
	// Of what was written in the gap there is nothing to hear.
	const unheard = [...Array(Math.ceil(totalMs / CAPTION_MS)).keys()].filter((line) => line * CAPTION_MS >= totalMs * 0.4 && line * CAPTION_MS < totalMs * 0.4 + GAP_MS).length;
	expect(readFileSync(fileOf('captions.vtt'), 'utf8').match(/ --> /g)).toHaveLength(Math.ceil(totalMs / CAPTION_MS) - unheard);
	// Who is to be heard where, at the beginning, on both sides of the gap and at the end.
	const turns = [0, 1, Math.floor((totalMs * 0.4) / TURN_MS) - 1, Math.floor((totalMs * 0.4) / TURN_MS) + 1, Math.floor(totalMs / TURN_MS) - 1];
	for (const file of ['audio.opus', 'audio.m4a']) {
		for (const turn of turns) {
			const pcm = await listenTo(fileOf(file), { fromMs: turn * TURN_MS + 8_000, lengthMs: 2_000 });
			const heard = SPEAKERS.map(({ name, hz }) => ({ name, strength: strengthOf(pcm, hz) })).toSorted((a, b) => b.strength - a.strength);
			expect([file, turn, heard[0]?.name]).toEqual([file, turn, speakerOf(turn).name]);
			expect(heard[1]!.strength).toBeLessThan(heard[0]!.strength / 20);
		}
	}
});

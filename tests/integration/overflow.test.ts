import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { figure } from '../support/figure.ts';
import { decode, envelopeOf, findIn, HlsPlayer, probe, readPlaylist, SILENCE, strengthOf } from '../support/overflow/hls-ear.ts';
import { HlsRecorder, type RecordedRun } from '../support/overflow/hls-recorder.ts';
import { descendantsOf, isRunning } from '../support/processes.ts';
import { RostrumProcess } from '../support/process/rostrum-process.ts';
import { RtcSpeaker } from '../support/rtc/speaker.ts';
import { samplesOf } from '../support/scrape.ts';
import { longSpeech, type SpokenAudio, tone } from '../support/speech/speech.ts';

const MEDIA_PORT = 27_500;
const FRAME_MS = 20;
const STAGE = 0;

let server: RostrumProcess;
let audio: SpokenAudio;
const speakers: RtcSpeaker[] = [];

beforeAll(async () => {
	[server, audio] = await Promise.all([RostrumProcess.start({ mediaPort: MEDIA_PORT, env: { ROSTRUM_OVERFLOW_LINGER_MS: '5000' } }), longSpeech('alto')]);
});
afterAll(async () => {
	for (const speaker of speakers) {
		speaker.close();
	}
	await server.stop();
});

const hls = (room: string, name = '') => new URL(`/v1/rooms/${room}/hls/${name}`, server.url).href;

async function speak(room: string, name = 'Ann'): Promise<RtcSpeaker> {
	const { token } = await server.token(room, 'speaker', name, { subject: name.toLowerCase() });
	const speaker = await RtcSpeaker.publish(async (offer) => {
		const response = await fetch(new URL(`/v1/rooms/${room}/publish`, server.url), { method: 'POST', headers: { authorization: `Bearer ${token}`, 'content-type': 'application/sdp' }, body: offer });
		if (response.status !== 201) {
			throw new Error(`${response.status} ${await response.text()}`);
		}
		return response.text();
	});
	speakers.push(speaker);
	return speaker;
}

const encoders = (of: RostrumProcess) => descendantsOf(of.pid).filter(({ command }) => command.includes('pipe:3'));
/** Process id of the room's latest encoder. */
const encoderOf = (room: string) => Number(server.logLines.findLast(({ msg, room: of }) => msg === 'an encoder begins' && of === room)?.['encoderPid']);

async function until(what: string, holds: () => boolean | Promise<boolean>, timeoutMs: number): Promise<number> {
	const startedAtMs = performance.now();
	while (!(await holds())) {
		if (performance.now() - startedAtMs > timeoutMs) {
			throw new Error(`waited ${timeoutMs} ms for ${what}`);
		}
		await new Promise((resolve) => setTimeout(resolve, 20));
	}
	return performance.now() - startedAtMs;
}

/** Loudness by time, on the clock of the playlist: what the speaker has sent since its connection, one frame each 20 ms whatever its timers did. */
function sentLevels(speaker: RtcSpeaker, sinceFrame: number, fromMs: number, toMs: number): number[] {
	const sent = speaker.sent.slice(sinceFrame);
	const beganAtMs = Math.min(...sent.map(({ atMs }, index) => atMs - index * FRAME_MS)) + Date.now() - performance.now();
	const first = Math.round((fromMs - beganAtMs) / FRAME_MS);
	return Array.from({ length: Math.floor((toMs - fromMs) / FRAME_MS) }, (_, index) => Math.max(SILENCE, 127 + (sent[first + index]?.levelDbov ?? -127)));
}

const PIECE_FRAMES = 100;

const median = (of: number[]) => of.toSorted((a, b) => b - a)[Math.floor(of.length / 2)] ?? 0;

/**
 * Takes what was heard in pieces of two seconds and looks for each around its time in what was sent: how alike most of them are (on a
 * busy machine one may have a hole of the speaker's own), and how much later than it was sent the playlist has each.
 */
function compare(run: RecordedRun, speaker: RtcSpeaker, { skipMs = 0, sinceFrame = 0 } = {}): { likeness: number; lateMs: number[] } {
	const slackFrames = 50;
	const heard = envelopeOf(run.pcm);
	const sent = sentLevels(speaker, sinceFrame, run.startMs - slackFrames * FRAME_MS, run.endMs + slackFrames * FRAME_MS);
	const pieces = [];
	for (let at = skipMs / FRAME_MS; at + PIECE_FRAMES <= heard.length; at += PIECE_FRAMES) {
		const { at: found, likeness } = findIn(sent.slice(at, at + PIECE_FRAMES + 2 * slackFrames), heard.slice(at, at + PIECE_FRAMES));
		pieces.push({ likeness, lateMs: (slackFrames - found) * FRAME_MS });
	}
	console.log('  heard', pieces.map(({ likeness, lateMs }) => `${likeness.toFixed(3)} ${lateMs} ms`).join(', '));
	return { likeness: median(pieces.map(({ likeness }) => likeness)), lateMs: pieces.map(({ lateMs }) => lateMs) };
}

describe('overflow by HLS', () => {
	it('plays within five seconds of the first request, and what is heard is what is said', async () => {
		const room = await server.room({ id: 'speech' });
		const speaker = await speak(room);
		speaker.talk(audio);
		const askedAtMs = performance.now();
		const master = await fetch(hls(room, 'index.m3u8'));
		expect(master.headers.get('content-type')).toBe('application/vnd.apple.mpegurl');
		expect(master.headers.get('cache-control')).toMatch(/^public, max-age=1$/);
		expect(await master.text()).toMatch(/CODECS="mp4a\.40\.2"\nlive\.m3u8/);
		const first = readPlaylist(await (await fetch(hls(room, 'live.m3u8'))).text());
		expect(first.segments).toHaveLength(1);
		// What comes next is announced, and answered when it is there: until there is a half second in which somebody can be heard.
		const init = Buffer.from(await (await fetch(hls(room, first.segments[0]?.map))).arrayBuffer());
		let loudest = 0;
		for (let playlist = first; loudest < 1_000; playlist = readPlaylist(await (await fetch(hls(room, 'live.m3u8'))).text())) {
			const part = await fetch(hls(room, playlist.hint));
			expect(part.status).toBe(200);
			expect(part.headers.get('cache-control')).toBe('public, max-age=3600, immutable');
			loudest = Math.max(...(await decode(Buffer.concat([init, Buffer.from(await part.arrayBuffer())]))).map(Math.abs));
			expect(performance.now() - askedAtMs).toBeLessThan(5_000);
		}
		figure('first request to a part with speech', performance.now() - askedAtMs);

		const recorder = new HlsRecorder(hls(room));
		const player = new HlsPlayer(hls(room, 'index.m3u8'));
		expect(await probe(hls(room, 'index.m3u8'))).toMatchObject({ codec_name: 'aac', profile: 'LC', channels: 1, sample_rate: '48000' });
		await until('the player has played six seconds', () => player.pcm.length > 6 * 48_000, 20_000);
		await recorder.until('eight segments', () => recorder.segments.length >= 6);
		await recorder.close();
		expect(recorder.flaws).toEqual([]);
		const [run, ...others] = await recorder.runs();
		expect(others).toEqual([]);
		// Without the silence that it began with.
		const { likeness, lateMs } = compare(run!, speaker, { skipMs: 3_000 });
		expect(likeness).toBeGreaterThan(0.9);
		expect(Math.max(...lateMs.map(Math.abs))).toBeLessThan(500);
		const heard = envelopeOf(player.pcm.slice(player.firstLoud() + 4_800));
		expect(findIn(envelopeOf(Int16Array.from([...audio.pcm, ...audio.pcm])), heard.slice(0, 150)).likeness).toBeGreaterThan(0.9);
		player.close();

		const encoder = encoderOf(room);
		const cpuTicks = () => readFileSync(`/proc/${encoder}/stat`, 'utf8').replace(/^.*\) /, '').split(' ').slice(11, 13).reduce((sum, ticks) => sum + Number(ticks), 0);
		const before = cpuTicks();
		const beforeMs = performance.now();
		await new Promise((resolve) => setTimeout(resolve, 2_000));
		await fetch(hls(room, 'live.m3u8'));
		await new Promise((resolve) => setTimeout(resolve, 1_500));
		console.log(`  one encoder of three voices: ${((cpuTicks() - before) * 1_000 / (performance.now() - beforeMs)).toFixed(1)} % of a core`);
		speaker.close();
	});

	// Each in a room of its own: they mostly wait, and do so together.
	describe.concurrent('of several rooms at the same time', () => {
		it('is heard by a player less than eight seconds after it was said', async () => {
			const room = await server.room({ id: 'lag' });
			const speaker = await speak(room);
			speaker.silence();
			const player = new HlsPlayer(hls(room, 'index.m3u8'));
			await until('the player plays silence', () => player.pcm.length > 48_000, 10_000);
			expect(player.firstLoud()).toBe(-1);
			const saidAtMs = performance.now();
			speaker.talk(audio);
			await until('it is heard', () => player.firstLoud() >= 0, 12_000);
			const lagMs = player.playedAtMs(player.firstLoud()) - saidAtMs;
			figure('mouth to ear of a player that knows no parts', lagMs);
			expect(lagMs).toBeLessThan(8_000);
			player.close();
			speaker.close();
		});

		it('mixes everybody who speaks, each as loud as alone', async () => {
			const room = await server.room({ id: 'two' });
			const [low, high] = await Promise.all([speak(room, 'Low'), speak(room, 'High')]);
			const tones = await Promise.all([tone(440, 20), tone(1_000, 20)]);
			low.talk(tones[0]);
			const recorder = new HlsRecorder(hls(room));
			await recorder.until('one alone', () => recorder.segments.length >= 3);
			high.talk(tones[1]);
			const both = recorder.segments.length + 1;
			await recorder.until('both', () => recorder.segments.length >= both + 3);
			await recorder.close();
			const [run] = await recorder.runs();
			const at = (segment: number) => run!.pcm.slice(segment * 2_048 * 48, (segment + 1) * 2_048 * 48);
			const alone = { low: strengthOf(at(2), 440), high: strengthOf(at(2), 1_000) };
			const together = { low: strengthOf(at(both + 1), 440), high: strengthOf(at(both + 1), 1_000) };
			console.log('  strengths', { alone, together });
			expect(alone.low).toBeGreaterThan(0.05);
			expect(alone.high).toBeLessThan(0.001);
			expect(together.low / alone.low).toBeGreaterThan(0.8);
			expect(together.low / alone.low).toBeLessThan(1.2);
			expect(together.high).toBeGreaterThan(0.8 * alone.low);
			low.close();
			high.close();
		});

		it.each<[string, NodeJS.Signals]>([['is killed', 'SIGKILL'], ['hangs', 'SIGSTOP']])('an encoder that %s in mid-speech is replaced, and not a word is lost', async (_how, signal) => {
			const room = await server.room({ id: `encoder-${signal.toLowerCase()}` });
			const speaker = await speak(room);
			speaker.talk(audio);
			const recorder = new HlsRecorder(hls(room));
			// Several pieces to compare: one may have a hole of the machine's own. And not before the first long pause of what is said (some nine
			// seconds on), nor in the second (16): a delay from the rooms' beginning together is taken back there, and would be counted as the next encoder's.
			await recorder.until('speech', () => recorder.segments.length >= 6);
			const victim = encoderOf(room);
			const atMs = performance.now();
			process.kill(victim, signal);
			await recorder.until('another encoder', () => new Set(recorder.segments.map(({ map }) => map)).size === 2);
			figure('kill to a whole segment of the next encoder', performance.now() - atMs);
			const segments = recorder.segments.length;
			await recorder.until('more', () => recorder.segments.length >= segments + 2);
			await recorder.close();
			expect(isRunning(victim)).toBe(false);
			expect(recorder.flaws).toEqual([]);
			expect(recorder.latest?.segments.filter(({ discontinuity }) => discontinuity)).toHaveLength(1);
			const [first, second] = await recorder.runs();
			// The playlist's time goes on without a hole, and so does the speech in it.
			expect(Math.abs(second!.startMs - first!.endMs)).toBeLessThan(5);
			const [before, after] = [compare(first!, speaker, { skipMs: 3_000 }), compare(second!, speaker, { skipMs: 100 })]; // AAC begins with a silent frame.
			expect(Math.min(before.likeness, after.likeness)).toBeGreaterThan(0.8);
			expect(Math.abs((before.lateMs.at(-1) ?? 0) - (after.lateMs[0] ?? 0))).toBeLessThanOrEqual(100);
			speaker.close();
		});

		it('plays silence before the start, the room from then on, and ends with it', async () => {
			const room = await server.room({ id: 'evening' }, 'open');
			const speaker = await speak(room);
			speaker.talk(audio);
			const player = new HlsPlayer(hls(room, 'index.m3u8'));
			await until('the player plays', () => player.pcm.length > 2 * 48_000, 10_000);
			expect(player.firstLoud()).toBe(-1);
			await server.json('POST', `/v1/rooms/${room}/start`);
			const encoder = encoderOf(room);
			await until('it is live', () => player.firstLoud() >= 0, 12_000);
			await server.json('POST', `/v1/rooms/${room}/end`);
			const last = readPlaylist(await (await fetch(hls(room, 'live.m3u8'))).text());
			expect(last.ended).toBe(true);
			expect(last.hint).toBeUndefined();
			await player.ended();
			expect(player.stderr).not.toMatch(/error|404/i);
			expect(isRunning(encoder)).toBe(false);
			const refused = await fetch(hls('evening-that-never-was', 'index.m3u8'));
			expect(refused.status).toBe(404);
			speaker.close();
		});

		it('is over some time after the last request, and goes on counting when it is asked for again', async () => {
			const room = await server.room({ id: 'quiet' });
			const first = readPlaylist(await (await fetch(hls(room, 'live.m3u8'))).text());
			// Players count up to it with each playlist: see `firstNumbers`.
			expect(first.discontinuitySequence).toBeLessThan(10);
			const encoder = encoderOf(room);
			expect(isRunning(encoder)).toBe(true);
			await until('the encoder is gone', () => !isRunning(encoder), 12_000);
			const second = readPlaylist(await (await fetch(hls(room, 'live.m3u8'))).text());
			expect(second.mediaSequence).toBeGreaterThanOrEqual(first.mediaSequence + first.segments.length);
			expect(second.discontinuitySequence).toBeGreaterThan(first.discontinuitySequence);
			expect(second.segments[0]?.uri).not.toBe(first.segments[0]?.uri);
		});

		it('asks of a private room what listening asks, and carries the token on', async () => {
			const room = await server.room({ id: 'closed-circle', visibility: 'private' });
			expect((await fetch(hls(room, 'index.m3u8'))).status).toBe(401);
			expect((await fetch(hls(room, 'live.m3u8'))).status).toBe(401);
			const { token } = await server.token(room, 'listener', 'Lou', { subject: 'lou' });
			const master = await fetch(hls(room, `index.m3u8?access_token=${token}`));
			expect(master.headers.get('cache-control')).toMatch(/private/);
			expect(await master.text()).toContain(`\nlive.m3u8?access_token=${token}\n`);
			expect((await probe(hls(room, `index.m3u8?access_token=${token}`))).codec_name).toBe('aac');
			const byHeader = await fetch(hls(room, 'live.m3u8'), { headers: { authorization: `Bearer ${token}` } });
			const playlist = readPlaylist(await byHeader.text());
			expect(playlist.text).not.toContain('access_token');
			const segment = playlist.segments[0]!.uri;
			expect((await fetch(hls(room, segment))).status).toBe(401);
			const served = await fetch(hls(room, `${segment}?access_token=${token}`));
			expect(served.headers.get('cache-control')).toBe('private, max-age=3600, immutable');
			expect((await fetch(hls(room, segment), { headers: { authorization: `Bearer ${token}`, 'if-none-match': served.headers.get('etag') ?? '' } })).status).toBe(304);
			const { token: elsewhere } = await server.token('speech', 'listener', 'Lou');
			expect((await fetch(hls(room, `index.m3u8?access_token=${elsewhere}`))).status).toBe(403);
			expect((await fetch(hls(await server.room({ id: 'later' }, 'scheduled'), 'index.m3u8'))).status).toBe(409);
		});
	});

	it('goes on within seconds when the listener shard dies that it began at', async () => {
		const room = await server.room({ id: 'tapped' });
		const speaker = await speak(room);
		speaker.talk(audio);
		const recorder = new HlsRecorder(hls(room));
		await recorder.until('speech', () => recorder.segments.length >= 3);
		const begun = server.logLines.findLast(({ msg, room: of }) => msg === 'overflow stream begun' && of === room);
		const { pid } = (await server.shardPids()).get(Number(begun?.['shard']))!;
		const [encoder] = descendantsOf(pid).filter(({ command }) => command.includes('pipe:3'));
		process.kill(pid, 'SIGKILL');
		const atMs = performance.now();
		await recorder.until('another stream', () => new Set(recorder.segments.map(({ map }) => map)).size === 2);
		figure('kill to a whole segment of the next tap', performance.now() - atMs);
		const segments = recorder.segments.length;
		await recorder.until('more', () => recorder.segments.length >= segments + 2);
		await recorder.close();
		expect(isRunning(encoder!.pid)).toBe(false);
		expect(recorder.flaws).toEqual([]);
		expect(recorder.longestPauseMs).toBeLessThan(6_000);
		const [first, second] = await recorder.runs();
		expect(Math.abs(second!.startMs - first!.endMs)).toBeLessThan(5);
		expect(compare(second!, speaker, { skipMs: 2_000 }).likeness).toBeGreaterThan(0.8);
		speaker.close();
	});

	it('is the same stream after the stage died, with a short silence', async () => {
		const room = await server.room({ id: 'staged' });
		const speaker = await speak(room);
		speaker.talk(audio);
		const recorder = new HlsRecorder(hls(room));
		await recorder.until('speech', () => recorder.segments.length >= 3);
		const lost = server.waitForLog(({ msg, shard, time }) => msg === 'shard up' && shard === STAGE && Number(time) > Date.now() - 500);
		process.kill((await server.shardPids()).get(STAGE)!.pid, 'SIGKILL');
		await lost;
		const sinceFrame = speaker.sent.length;
		await until('the speaker is back', () => speaker.connect().then(() => true, () => false), 10_000);
		const segments = recorder.segments.length;
		await recorder.until('more', () => recorder.segments.length >= segments + 3);
		await recorder.close();
		expect(recorder.flaws).toEqual([]);
		const runs = await recorder.runs();
		expect(runs).toHaveLength(1);
		const heard = envelopeOf(runs[0]!.pcm.slice(2.5 * 48_000));
		const silences = heard.map((level) => level <= SILENCE).join('').match(/(true)+/g)?.map((run) => run.length / 4) ?? [];
		figure('silence', Math.max(0, ...silences) * FRAME_MS);
		expect(Math.max(0, ...silences) * FRAME_MS).toBeLessThan(2_500);
		expect(compare(runs[0]!, speaker, { skipMs: Math.ceil((runs[0]!.endMs - runs[0]!.startMs) / 1_000 - 5) * 1_000, sinceFrame }).likeness).toBeGreaterThan(0.8);
		speaker.close();
	});

	it('tells what it does, in metrics and in the description of the API', async () => {
		const samples = samplesOf(await (await server.call('GET', '/metrics')).text());
		expect(samples.get('rostrum_overflow_requests_total{object="segment"}')).toBeGreaterThan(10);
		expect(samples.get('rostrum_overflow_parts_total{source="encoded"}')).toBeGreaterThan(50);
		expect(samples.get('rostrum_overflow_encoder_restarts_total')).toBeGreaterThanOrEqual(3);
		const ready = await server.json<{ components: { name: string; ready: boolean }[] }>('GET', '/readyz');
		expect(ready.components.find(({ name }) => name === 'overflow')).toEqual({ name: 'overflow', ready: true });
		const api = await server.json<{ paths: Record<string, unknown> }>('GET', '/openapi.json');
		expect(Object.keys(api.paths)).toEqual(expect.arrayContaining(['/v1/rooms/{room}/hls/index.m3u8', '/v1/rooms/{room}/hls/live.m3u8', '/v1/rooms/{room}/hls/{object}']));
	});
});

describe('a node that is killed', () => {
	it('leaves no encoder behind', async () => {
		const node = await RostrumProcess.start({ mediaPort: MEDIA_PORT + 100 });
		const room = await node.room({ id: 'left' });
		await fetch(new URL(`/v1/rooms/${room}/hls/live.m3u8`, node.url));
		const [encoder] = encoders(node);
		expect(encoder).toBeDefined();
		await node.stop('SIGKILL');
		figure('kill of the node to the end of its encoder', await until('the encoder is gone', () => !isRunning(encoder!.pid), 5_000));
	});
});

describe('a node without ffmpeg', () => {
	it.each([
		['missing', { ROSTRUM_OVERFLOW_FFMPEG_PATH: '/nowhere/ffmpeg' }],
		['disabled', { ROSTRUM_OVERFLOW_ENABLED: 'false' }],
	])('says so, and does everything else (%s)', async (how, env) => {
		const node = await RostrumProcess.start({ mediaPort: MEDIA_PORT + 100, env });
		try {
			if (how === 'missing') {
				await node.waitForLog(({ level, msg }) => level === 40 && msg.startsWith('no overflow by HLS'));
			}
			const room = await node.room({ id: 'plain' });
			const refused = await fetch(new URL(`/v1/rooms/${room}/hls/index.m3u8`, node.url));
			expect(refused.status).toBe(503);
			expect(await refused.json()).toMatchObject({ code: 'overflow_unavailable', retryable: true });
			const ready = await node.call('GET', '/readyz');
			expect(ready.status).toBe(200);
			const { components } = (await ready.json()) as { components: { name: string; ready: boolean; detail?: string }[] };
			const component = components.find(({ name }) => name === 'overflow');
			expect(component?.ready).toBe(how === 'disabled');
			expect(component?.detail).toMatch(how === 'missing' ? /there is no \/nowhere\/ffmpeg/ : /disabled/);
			expect(node.logLines.filter(({ msg }) => msg.startsWith('no overflow by HLS'))).toHaveLength(how === 'missing' ? 1 : 0);
		} finally {
			await node.stop();
		}
	});
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { firstNumbers } from '../../server/overflow/first-numbers.ts';
import { answerFollower } from '../../server/overflow/follow-source.ts';
import { mediaObjectOf, partName, renderMasterPlaylist, withToken } from '../../server/overflow/playlists.ts';
import { RequestRates } from '../../server/overflow/request-rates.ts';
import { RoomStream } from '../../server/overflow/room-stream.ts';
import type { Generation } from '../../server/overflow/segments.ts';
import { StreamWindow } from '../../server/overflow/stream-window.ts';
import { placesOf, warmRooms } from '../../server/overflow/warm-rooms.ts';
import { readPlaylist } from '../support/overflow/hls-ear.ts';
import { nodeReport } from '../support/cluster/http-nodes.ts';
import { aRoom } from '../support/rooms.ts';

const START_MS = Date.UTC(2026, 4, 24, 20);

const generation = (id: string, discontinuity: number): Generation => ({ id, discontinuity, init: Buffer.from(`init of ${id}`) });

/** An encoder at work: parts of half a second, one after the other. */
class Encoder {
	made = 0;
	generation: Generation;
	readonly window: StreamWindow;

	constructor(window: StreamWindow, firstGeneration = generation('a', 1)) {
		this.window = window;
		this.generation = firstGeneration;
	}

	make(parts: number): void {
		for (let part = 0; part < parts; part++) {
			const startMs = START_MS + this.made * 512;
			this.window.append(this.generation, { data: Buffer.from(`<${this.made}>`), startMs, durationMs: 512 }, 1_000);
			this.made++;
		}
	}

	replace(next: Generation): void {
		this.generation = next;
	}
}

/** A copy at another node, which asks as often as it is told to. */
function copyTo(from: StreamWindow, to: StreamWindow): void {
	const { generations, parts } = from.after(to.position);
	for (const part of parts) {
		to.add(generations.find(({ id }) => id === part.generation) ?? to.generation(part.generation)!, part);
	}
}

describe('the window of a stream', () => {
	it('makes segments of four parts, and a playlist that says what is there and what comes next', () => {
		const window = new StreamWindow();
		new Encoder(window).make(9);
		const playlist = readPlaylist(window.playlist);
		expect(playlist.mediaSequence).toBe(1_000);
		expect(playlist.segments.map(({ uri, durationMs }) => [uri, durationMs])).toEqual([['1000-a.m4s', 2_048], ['1001-a.m4s', 2_048]]);
		expect(playlist.segments[1]?.startMs).toBe(START_MS + 2_048);
		expect(playlist.parts).toHaveLength(9);
		expect(playlist.hint).toBe('1002.1-a.m4s');
		expect(window.segment(1_001, 'a')?.toString()).toBe('<4><5><6><7>');
		expect(window.part(1_002, 0, 'a')?.toString()).toBe('<8>');
		expect(window.segment(1_002, 'a')).toBeUndefined();
		expect(window.init('a')?.toString()).toBe('init of a');
		expect(window.announces(1_002, 1, 'a')).toBe(true);
		expect(window.announces(1_002, 2, 'a')).toBe(false);
	});

	it('keeps half a minute and no more, with parts for the latest segments alone', () => {
		const window = new StreamWindow();
		new Encoder(window).make(4 * 100);
		const playlist = readPlaylist(window.playlist);
		expect(playlist.mediaSequence).toBe(1_085);
		expect(playlist.segments).toHaveLength(15);
		expect(playlist.parts).toHaveLength(16);
		expect(window.bytes).toBeLessThan(15 * 4 * 6);
	});

	it('goes on behind an encoder that was replaced in mid-segment', () => {
		const window = new StreamWindow();
		const encoder = new Encoder(window);
		encoder.make(6);
		encoder.replace(generation('b', 2));
		encoder.make(5);
		const playlist = readPlaylist(window.playlist);
		expect(playlist.segments.map(({ uri, durationMs, discontinuity, map }) => [uri, durationMs, discontinuity, map])).toEqual([
			['1000-a.m4s', 2_048, false, 'init-a.mp4'],
			['1001-a.m4s', 1_024, false, 'init-a.mp4'],
			['1002-b.m4s', 2_048, true, 'init-b.mp4'],
		]);
		expect(playlist.discontinuitySequence).toBe(1);
		encoder.make(4 * 20);
		expect(readPlaylist(window.playlist)).toMatchObject({ discontinuitySequence: 2 });
		expect(window.init('a')).toBeUndefined();
	});

	it('does not begin with what stopped long ago, and goes on counting', () => {
		const window = new StreamWindow();
		const encoder = new Encoder(window);
		encoder.make(8);
		encoder.made += 40;
		encoder.replace(generation('b', 2));
		encoder.make(4);
		const playlist = readPlaylist(window.playlist);
		expect(playlist.segments.map(({ uri }) => uri)).toEqual(['1002-b.m4s']);
		expect(playlist.discontinuitySequence).toBe(2);
	});

	it('ends with its last parts as a segment', () => {
		const window = new StreamWindow();
		new Encoder(window).make(6);
		window.end();
		const playlist = readPlaylist(window.playlist);
		expect(playlist).toMatchObject({ ended: true, hint: undefined });
		expect(playlist.segments.map(({ durationMs }) => durationMs)).toEqual([2_048, 1_024]);
		expect(window.reaches(9_999)).toBe(true);
	});

	it('answers whoever waits when it has come, and when the time is up', async () => {
		const window = new StreamWindow();
		const encoder = new Encoder(window);
		encoder.make(4);
		const many = Promise.all(Array.from({ length: 1_000 }, () => window.when(() => window.reaches(1_001, 1), 5_000)));
		const never = window.when(() => window.reaches(1_001), 50);
		encoder.make(1);
		expect(window.reaches(1_001, 0)).toBe(true);
		encoder.make(1);
		expect((await many).every(Boolean)).toBe(true);
		expect(await never).toBe(false);
		const abandoned = window.when(() => false, 60_000);
		window.abandon();
		expect(await abandoned).toBe(false);
	});
});

describe('a copy of a stream at another node', () => {
	it('is the same, however seldom it asks and whatever becomes of the encoder', () => {
		fc.assert(
			fc.property(fc.array(fc.record({ parts: fc.integer({ min: 0, max: 70 }), replaced: fc.boolean(), asks: fc.boolean() }), { maxLength: 20 }), (steps) => {
				const home = new StreamWindow();
				const copy = new StreamWindow();
				const encoder = new Encoder(home);
				let generations = 1;
				for (const { parts, replaced, asks } of steps) {
					encoder.make(parts);
					if (replaced) encoder.replace(generation(`g${generations}`, ++generations));
					if (asks) copyTo(home, copy);
				}
				copyTo(home, copy);
				const [there, here] = [readPlaylist(home.playlist), readPlaylist(copy.playlist)];
				// One that did not ask for long has less of the past.
				const common = there.segments.slice(-here.segments.length || there.segments.length);
				expect(here.segments.map(({ uri }) => uri)).toEqual(common.map(({ uri }) => uri));
				expect(here.hint).toBe(there.hint);
				for (const { msn, generation: of } of copy.segments) {
					expect(copy.segment(msn, of.id)).toEqual(home.segment(msn, of.id));
				}
			}),
		);
	});

	it('hands on to the next home where it stands', async () => {
		const copy = new StreamWindow();
		new Encoder(copy).make(6);
		const next = new RoomStream('hall', 0);
		const answer = answerFollower(next, copy.position);
		next.window.append(generation('c', (next.window.position?.discontinuity ?? 0) + 1), { data: Buffer.from('new'), startMs: START_MS + 6 * 512, durationMs: 512 }, 5_000);
		const { generations, parts } = await answer;
		expect(parts).toMatchObject([{ msn: 1_002, part: 0, generation: 'c' }]);
		copy.add({ ...generations[0]!, init: Buffer.from(generations[0]!.init, 'base64') }, { ...parts[0]!, data: Buffer.from(parts[0]!.data, 'base64') });
		const playlist = readPlaylist(copy.playlist);
		expect(playlist.segments.map(({ uri }) => uri)).toEqual(['1000-a.m4s', '1001-a.m4s']);
		expect(copy.playlist).toContain('#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI="init-c.mp4"');
	});

	it('believes a home that contradicts it', () => {
		const copy = new StreamWindow();
		new Encoder(copy).make(8);
		copy.add(generation('z', 9), { msn: 1_000, part: 0, generation: 'z', startMs: START_MS + 4_096, durationMs: 512, data: Buffer.from('z') });
		expect(copy.segments.map(({ msn, generation: { id } }) => [msn, id])).toEqual([[1_000, 'z']]);
	});
});

describe('what a stream counts from when nobody knows where it stood', () => {
	const HOUR_MS = 3_600_000;
	const YEAR_MS = 365 * 24 * HOUR_MS;
	/** As Redis gives it to a room that it does not know: milliseconds since the start of 2025. */
	const epochAt = (nowMs: number) => nowMs - Date.UTC(2025, 0, 1);

	it('is above what another home gave a minute before, and what a home that ran ahead of time gave', () => {
		fc.assert(
			fc.property(fc.integer({ min: 0, max: YEAR_MS }), fc.integer({ min: 60_000, max: YEAR_MS }), fc.integer({ min: 1, max: 1e9 }), (ageMs, laterMs, epoch) => {
				const before = firstNumbers(START_MS + ageMs, START_MS, epoch);
				const after = firstNumbers(START_MS + ageMs + laterMs, START_MS, epoch + 1);
				expect(after.discontinuity).toBeGreaterThan(before.discontinuity);
				expect(after.msn).toBeGreaterThanOrEqual(before.msn + Math.floor(laterMs / 2_048) + 8);
			}),
		);
	});

	it('is a discontinuity that a player can count to with each playlist', () => {
		expect(firstNumbers(START_MS, START_MS, 1).discontinuity).toBe(0);
		expect(firstNumbers(START_MS + 7 * 24 * HOUR_MS, START_MS, 1).discontinuity).toBeLessThan(20_000);
		expect(firstNumbers(START_MS + YEAR_MS, START_MS, epochAt(START_MS)).discontinuity).toBeLessThan(600_000);
		// A clock that was put back, or that of another node.
		expect(firstNumbers(START_MS - HOUR_MS, START_MS, 1).discontinuity).toBe(0);
	});

	it('is in names that are understood for a century', () => {
		const nowMs = Date.UTC(2126, 0, 1);
		const { msn } = firstNumbers(nowMs, START_MS, epochAt(nowMs));
		expect(Number.isSafeInteger(msn)).toBe(true);
		expect(mediaObjectOf(partName(msn, 3, 'abc'))).toEqual({ kind: 'part', msn, part: 3, generation: 'abc' });
	});
});

describe('names and playlists', () => {
	it('reads the names that it gives, and no others', () => {
		expect(mediaObjectOf('init-abc123.mp4')).toEqual({ kind: 'init', generation: 'abc123' });
		expect(mediaObjectOf('876648087-abc.m4s')).toEqual({ kind: 'segment', msn: 876_648_087, generation: 'abc' });
		expect(mediaObjectOf('876648087.3-abc.m4s')).toEqual({ kind: 'part', msn: 876_648_087, part: 3, generation: 'abc' });
		for (const name of ['', 'init-.mp4', 'init-A.mp4', '../init-a.mp4', '-a.m4s', '01-a.m4s', '1-a.mp4', '1.-a.m4s', '1.2.3-a.m4s', '1e3-a.m4s', `${'9'.repeat(16)}-a.m4s`]) {
			expect(mediaObjectOf(name), name).toBeUndefined();
		}
	});

	it('says the codec, for Apple’s players ask for it before anything else', () => {
		expect(renderMasterPlaylist(64)).toContain('BANDWIDTH=85000,AVERAGE-BANDWIDTH=68000,CODECS="mp4a.40.2"\nlive.m3u8\n');
	});

	it('carries a token on in every address, whatever is in it', () => {
		const window = new StreamWindow();
		new Encoder(window).make(6);
		const token = 'a.b&c"d\n#EXT';
		const text = withToken(window.playlist, token);
		const { segments, parts, hint } = readPlaylist(text);
		for (const uri of [...segments.flatMap((segment) => [segment.uri, segment.map]), ...parts.map((part) => part.uri), hint]) {
			expect(new URL(uri ?? '', 'http://x/').searchParams.get('access_token')).toBe(token);
		}
		expect(text.split('\n')).toHaveLength(window.playlist.split('\n').length);
	});
});

describe('players', () => {
	it('are estimated by their requests, whichever way they ask', () => {
		const rates = new RequestRates();
		for (let ms = 0; ms < 20_000; ms += 8) {
			if (ms % 512 < 8) for (let player = 0; player < 30; player++) rates.count(true, ms);
			if (ms % 2_048 < 8) for (let player = 0; player < 50; player++) rates.count(false, ms);
		}
		expect(Math.abs(rates.players(20_000) - 80)).toBeLessThan(20);
		expect(rates.players(40_000)).toBe(0);
	});
});

describe('rooms that are made ready before anybody asks', () => {
	const shard = { role: 'listener', alive: true, draining: false, joining: 0, maxListeners: 100, cpuRatio: 0, eventLoopLagMs: 0, packetsPerSecond: 0 } as const;
	const nodes = (...listeners: number[]) => listeners.map((count, index) => ({ ...nodeReport(`n${index}`, 'http://x'), shards: [{ ...shard, index: 0, listeners: count }] }));
	const rooms = [aRoom({ id: 'small', state: 'live' }), aRoom({ id: 'large', state: 'live' }), aRoom({ id: 'empty', state: 'live' }), aRoom({ id: 'awaited', state: 'open', expectedListeners: 250 })];
	const listenersIn = (id: string) => ({ small: 10, large: 120 })[id] ?? 0;

	it('are those that will not find room, the largest first', () => {
		expect(placesOf(nodes(70, 60))).toEqual({ taken: 130, all: 200 });
		expect(warmRooms(rooms, nodes(70, 60), listenersIn, 0.7)).toEqual(['awaited']);
		expect(warmRooms(rooms, nodes(80, 60), listenersIn, 0.7)).toEqual(['awaited', 'large', 'small']);
		expect(warmRooms(rooms, nodes(100, 100), listenersIn, 1)).toEqual(['awaited']);
		expect(warmRooms(rooms, nodes(100, 100, 0), listenersIn, 0.7)).toEqual([]);
	});
});

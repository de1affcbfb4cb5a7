import { describe, expect, test } from 'vitest';
import { parseRtpPacket, writeRtpPacket } from '../../sfu/rtp/rtp-packet.ts';
import { Director } from '../../sfu/stage/director.ts';
import { FRAME, LEVEL_ID, LOUD, QUIET, StageRig } from '../support/director-rig.ts';

const audio = (rig: StageRig, voice: number) => rig.out[voice]!.filter(({ dtx }) => !dtx);

describe('silence', () => {
	test('every voice sends DTX from the start: five at 20 ms, then one every 400 ms, at the wall clock and without CSRC', () => {
		const rig = new StageRig({ voices: 2 });
		rig.run(1000, {});
		for (const voice of [0, 1, 2]) {
			expect(rig.out[voice]!.map(({ atMs }) => atMs)).toEqual([0, 20, 40, 60, 80, 480, 880]);
			for (const { atMs, timestamp, csrc, dtx, marker } of rig.out[voice]!) {
				expect({ timestamp, csrc, dtx, marker }).toEqual({ timestamp: atMs * 48, csrc: undefined, dtx: true, marker: false });
			}
		}
	});

	test('a late or irregular timer keeps the pace', () => {
		const rig = new StageRig({ voices: 1 });
		for (const nowMs of [3, 20, 44, 61, 83, 300, 490, 2000, 2410]) rig.tick(nowMs);
		expect(rig.out[0]!.map(({ atMs }) => atMs)).toEqual([3, 20, 44, 61, 83, 490, 2000, 2410]);
	});

	test('after a talk spurt the voice is free 600 ms later, and the train begins anew in the source’s mode', () => {
		const rig = new StageRig({ voices: 1 });
		rig.add('a', 5);
		rig.run(200, { a: LOUD });
		const lastLoudMs = rig.nowMs - 20;
		rig.run(1500, { a: QUIET });
		const after = rig.out[0]!.filter(({ atMs }) => atMs > lastLoudMs + 600);
		expect(after.map(({ atMs }) => atMs - lastLoudMs)).toEqual([620, 640, 660, 680, 700, 1100, 1500]);
		expect(after.every(({ dtx, toc }) => dtx && toc === 0x78)).toBe(true);
		expect(audio(rig, 0).at(-1)!.atMs).toBe(lastLoudMs + 600);
	});

	test('a talker whose packets stop is covered after 100 ms, and goes on with a marker', () => {
		const rig = new StageRig({ voices: 1 });
		rig.add('a', 5);
		rig.run(1000, {});
		rig.run(200, { a: LOUD });
		const before = rig.out[0]!.length;
		rig.run(200, {}, { pass: ['a'] });
		expect(rig.out[0]!.slice(before).map(({ dtx, csrc, atMs }) => [dtx, csrc, atMs])).toEqual([1280, 1300, 1320, 1340, 1360].map((atMs) => [true, undefined, atMs]));
		rig.run(40, { a: LOUD });
		expect(rig.out[0]!.slice(before + 5).map(({ marker, csrc }) => [marker, csrc])).toEqual([[true, 5], [false, 5]]);
	});

	test('nothing is due while a voice speaks or is silent, and the director says when something will be', () => {
		const rig = new StageRig({ voices: 1 });
		rig.run(100, {});
		expect(rig.director.nextTickDueMs).toBe(476);
		rig.add('a', 5);
		rig.run(20, { a: LOUD });
		expect(rig.director.nextTickDueMs).toBeLessThanOrEqual(120);
	});
});

describe('a talk spurt', () => {
	test('goes out whole: 60 ms before the first loud packet, then everything, the source’s number as CSRC', () => {
		const rig = new StageRig({ voices: 2 });
		rig.add('a', 77);
		rig.run(300, { a: QUIET });
		rig.run(200, { a: LOUD });
		const sent = audio(rig, 0);
		expect(sent.map(({ index }) => index)).toEqual(Array.from({ length: 13 }, (_, index) => 12 + index));
		expect(sent.slice(0, 4).map(({ atMs }) => atMs)).toEqual([300, 300, 300, 300]);
		expect(sent.map(({ timestamp }) => timestamp)).toEqual(sent.map((_, index) => 300 * 48 + index * FRAME));
		expect(sent.map(({ marker }) => marker)).toEqual(sent.map((_, index) => index === 0));
		expect(sent.every(({ csrc }) => csrc === 77)).toBe(true);
		expect(audio(rig, 1)).toEqual([]);
		expect(audio(rig, 2).map(({ index }) => index)).toEqual(sent.map(({ index }) => index));
	});

	test('the payload goes out as it came, whatever its duration', () => {
		const rig = new StageRig({ voices: 1 });
		rig.director.addSource({ id: 'x', number: 1 });
		const payload = Buffer.from([0x7b, 3, ...Array.from({ length: 30 }, (_, index) => index)]);
		const packet = writeRtpPacket({ payloadType: 96, marker: true, sequenceNumber: 5, timestamp: 5, ssrc: 9, payload });
		rig.director.onPacket('x', packet, 0);
		expect(rig.raw[0]!.map((buffer) => parseRtpPacket(buffer)!.payload)).toEqual([payload]);
		rig.director.onPacket('x', writeRtpPacket({ payloadType: 96, marker: true, sequenceNumber: 6, timestamp: 5 + 2880, ssrc: 9, payload }), 60);
		// Some encoders set the marker on every packet; only the spurt's first one has it on the way out.
		expect(rig.out[0]!.map(({ marker, timestamp }) => [marker, timestamp])).toEqual([[true, 0], [false, 2880]]);
	});

	test('in the next silence the timestamps take up the wall clock', () => {
		const rig = new StageRig({ voices: 1 });
		rig.add('a', 1);
		rig.run(100, { a: QUIET });
		rig.run(100, { a: LOUD });
		rig.run(1500, { a: QUIET });
		expect(audio(rig, 0).at(-1)!.timestamp).toBe((audio(rig, 0).at(-1)!.atMs + 60) * 48);
		const last = rig.out[0]!.at(-1)!;
		expect(last.timestamp).toBe(last.atMs * 48);
		rig.run(20, { a: LOUD });
		expect(audio(rig, 0).find(({ atMs }) => atMs === 1700)!.timestamp).toBe(1700 * 48);
	});

	test('silence in front of it is not worth a delay', () => {
		const rig = new StageRig({ voices: 1 });
		rig.add('a', 1);
		rig.run(200, { a: 'dtx' });
		rig.run(20, { a: QUIET });
		rig.run(20, { a: LOUD });
		expect(rig.out[0]!.filter(({ atMs, csrc }) => atMs === 220 && csrc === 1).map(({ index }) => index)).toEqual([10, 11]);
	});

	test('what went out in a hang-over is not sent again as the pre-roll of the next spurt', () => {
		const rig = new StageRig({ voices: 1 });
		rig.add('a', 1);
		rig.run(100, { a: LOUD });
		rig.run(620, { a: QUIET });
		rig.run(100, { a: LOUD });
		const indices = audio(rig, 0).map(({ index }) => index);
		expect(indices).toEqual(Array.from({ length: 41 }, (_, index) => index));
	});

	test('a packet that the network turned round in the pre-roll is put right; in mid-speech it is late', () => {
		const rig = new StageRig({ voices: 1 });
		rig.add('a', 1);
		const at = (index: number, level: number): Buffer => rig.packet('a', index, level);
		for (const [index, level, nowMs] of [[0, QUIET, 0], [2, QUIET, 20], [1, QUIET, 40], [3, LOUD, 60], [5, LOUD, 80], [4, LOUD, 81], [5, LOUD, 82], [6, LOUD, 100]] as const) {
			rig.feed('a', at(index, level), nowMs);
		}
		expect(audio(rig, 0).map(({ index }) => index)).toEqual([0, 1, 2, 3, 5, 6]);
		// Index 4 came behind 5 and counts for both outlets; the duplicate of 5 is refused once.
		expect(rig.director.stats.late).toBe(3);
	});

	test('a loud packet that was overtaken by one of the hang-over does not go out behind it', () => {
		const rig = new StageRig({ voices: 1 });
		rig.add('a', 1);
		rig.feed('a', rig.packet('a', 0, LOUD), 0);
		rig.feed('a', rig.packet('a', 30, QUIET), 600);
		rig.tick(620);
		expect(rig.director.talkers().talkers).toEqual([]);
		rig.feed('a', rig.packet('a', 29, LOUD), 621);
		rig.feed('a', rig.packet('a', 31, LOUD), 622);
		expect(audio(rig, 0).map(({ index }) => index)).toEqual([0, 30, 31]);
		expect(rig.director.stats.late).toBe(2);
	});

	test('a source without levels has a voice as long as it sends audio, and loses it in DTX', () => {
		const rig = new StageRig({ voices: 1 });
		rig.add('a', 1, false);
		rig.run(2000, { a: undefined });
		expect(audio(rig, 0).length).toBe(100);
		rig.run(700, { a: 'dtx' });
		expect(rig.director.talkers().talkers).toEqual([]);
		rig.run(20, { a: undefined });
		expect(rig.director.talkers().talkers).toEqual([{ number: 1, voice: 0 }]);
	});

	test('a burst that a network held back for seconds is cut, so that the voice stays near the present', () => {
		const rig = new StageRig({ voices: 1 });
		rig.add('a', 1);
		rig.run(500, { a: LOUD });
		rig.run(400, {});
		for (let count = 0; count < 200; count++) rig.feed('a', rig.next('a', LOUD), rig.nowMs);
		const last = audio(rig, 0).at(-1)!;
		expect(last.timestamp / 48 - rig.nowMs).toBeLessThanOrEqual(1020);
		rig.run(2000, { a: LOUD });
		expect(audio(rig, 0).at(-1)!.index).toBe(rig.lastIndex('a'));
	});

	test('a voice that is ahead catches up in a pause of the talker', () => {
		const rig = new StageRig({ voices: 1 });
		rig.add('a', 1);
		rig.run(500, { a: LOUD });
		rig.run(300, {});
		for (let count = 0; count < 15; count++) rig.feed('a', rig.next('a', LOUD), rig.nowMs);
		rig.run(100, { a: LOUD });
		const lead = (): number => audio(rig, 0).at(-1)!.timestamp / 48 - audio(rig, 0).at(-1)!.atMs;
		expect(lead()).toBeGreaterThan(200);
		rig.run(500, { a: QUIET });
		rig.run(100, { a: LOUD });
		expect(lead()).toBeLessThanOrEqual(120);
		expect(rig.director.stats.skipped).toBeGreaterThan(0);
	});
});

describe('several talkers', () => {
	test('each keeps to a voice of its own, and the dominant one has the solo voice too', () => {
		const rig = new StageRig({ voices: 2 });
		rig.add('a', 1);
		rig.add('b', 2);
		rig.run(100, { a: LOUD, b: QUIET });
		rig.run(2000, { a: LOUD, b: -40 });
		expect(new Set(audio(rig, 0).map(({ csrc }) => csrc))).toEqual(new Set([1]));
		expect(new Set(audio(rig, 1).map(({ csrc }) => csrc))).toEqual(new Set([2]));
		expect(new Set(audio(rig, 2).map(({ csrc }) => csrc))).toEqual(new Set([1]));
	});

	test('the solo voice goes to who takes the word in a pause, with all of what they said since', () => {
		const rig = new StageRig({ voices: 2 });
		rig.add('a', 1);
		rig.add('b', 2);
		rig.run(1000, { a: LOUD, b: QUIET });
		rig.run(100, { a: QUIET, b: QUIET });
		const onset = rig.lastIndex('b') + 1;
		rig.run(1000, { a: QUIET, b: LOUD });
		const heard = audio(rig, 2).filter(({ csrc }) => csrc === 2).map(({ index }) => index);
		expect(heard.slice(0, 10)).toEqual(Array.from({ length: 10 }, (_, index) => onset - 3 + index));
	});

	test('a challenger who has talked for long brings no old packets along', () => {
		const rig = new StageRig({ voices: 1 });
		rig.add('a', 1);
		rig.add('b', 2);
		rig.run(1000, { a: -40, b: QUIET });
		rig.run(600, { a: -40, b: -10 });
		const first = audio(rig, 0).find(({ csrc }) => csrc === 2)!;
		expect(audio(rig, 0).filter(({ atMs, csrc }) => atMs === first.atMs && csrc === 2).length).toBe(1);
		expect(first.marker).toBe(true);
	});

	test('changes are announced once for each packet or tick, with who has which voice', () => {
		const rig = new StageRig({ voices: 2 });
		rig.add('a', 1);
		rig.add('b', 2);
		rig.run(100, { a: LOUD });
		expect(rig.announced).toEqual([{ talkers: [{ number: 1, voice: 0 }], dominant: 1 }]);
		rig.run(100, { a: LOUD, b: LOUD });
		rig.director.removeSource('a');
		expect(rig.announced.slice(1)).toEqual([
			{ talkers: [{ number: 1, voice: 0 }, { number: 2, voice: 1 }], dominant: 1 },
			{ talkers: [{ number: 2, voice: 1 }], dominant: 2 },
		]);
		rig.run(1000, {});
		expect(rig.announced.at(-1)).toEqual({ talkers: [], dominant: null });
	});
});

describe('on and off air', () => {
	test('off air nothing but keep-alives leaves, while talkers are known', () => {
		const rig = new StageRig({ voices: 1, onAir: false });
		rig.add('a', 1);
		rig.run(1000, { a: LOUD });
		expect(audio(rig, 0)).toEqual([]);
		expect(rig.out[0]!.map(({ atMs }) => atMs)).toEqual([0, 20, 40, 60, 80, 480, 880]);
		expect(rig.director.talkers()).toEqual({ talkers: [{ number: 1, voice: 0 }], dominant: 1 });
	});

	test('going on air works from the next packet, and nothing said before leaks', () => {
		const rig = new StageRig({ voices: 2, onAir: false });
		rig.add('a', 1);
		rig.add('b', 2);
		rig.run(1000, { a: LOUD, b: QUIET });
		rig.director.setOnAir(true, rig.nowMs);
		rig.run(100, { a: LOUD, b: LOUD });
		for (const voice of [0, 1]) {
			expect(audio(rig, voice).map(({ index, atMs }) => [index, atMs])).toEqual([50, 51, 52, 53, 54].map((index) => [index, index * 20]));
			expect(audio(rig, voice)[0]!.marker).toBe(true);
		}
	});

	test('going off air stops at once', () => {
		const rig = new StageRig({ voices: 1 });
		rig.add('a', 1);
		rig.run(100, { a: LOUD });
		rig.director.setOnAir(false, rig.nowMs);
		rig.run(600, { a: LOUD });
		expect(audio(rig, 0).at(-1)!.atMs).toBe(80);
		expect(rig.out[0]!.filter(({ atMs }) => atMs >= 100).map(({ atMs }) => atMs)).toEqual([100, 120, 140, 160, 180, 580]);
	});
});

describe('sources', () => {
	test('one who leaves frees the voice at once; the same id again is a new source', () => {
		const rig = new StageRig({ voices: 1 });
		rig.add('a', 1);
		rig.run(100, { a: LOUD });
		rig.director.removeSource('a');
		rig.director.removeSource('a');
		expect(rig.director.talkers().talkers).toEqual([]);
		rig.run(20, { a: LOUD });
		expect(rig.director.stats.unknownSource).toBe(1);
		rig.add('a', 9);
		rig.run(40, { a: LOUD });
		expect(audio(rig, 0).slice(-2).map(({ csrc }) => csrc)).toEqual([9, 9]);
	});

	test('malformed packets are counted and change nothing', () => {
		const rig = new StageRig({ voices: 1 });
		rig.add('a', 1);
		const sound = rig.packet('a', 0, LOUD);
		const bad = [
			Buffer.alloc(0),
			sound.subarray(0, 11),
			Buffer.concat([Buffer.of(0x40), sound.subarray(1)]),
			writeRtpPacket({ payloadType: 111, marker: false, sequenceNumber: 1, timestamp: 1, ssrc: 1, payload: Buffer.of(0x7b, 0) }),
		];
		for (const packet of bad) rig.director.onPacket('a', packet, 0);
		// Padding alone probes the path: neither speech nor an error.
		rig.director.onPacket('a', Buffer.concat([Buffer.of(0xa0), sound.subarray(1, 12), Buffer.of(0, 0, 3)]), 0);
		expect(rig.director.stats).toEqual(expect.objectContaining({ packetsIn: 5, packetsOut: 0, malformed: 4 }));
		rig.feed('a', sound, 0);
		expect(audio(rig, 0).length).toBe(1);
	});

	test('SSRCs must be one more than voices', () => {
		const make = (ssrcs: number[]) => new Director({ voices: 2, payloadType: 111, ssrcs, nowMs: 0, emit: () => undefined });
		expect(() => make([1, 2])).toThrow(RangeError);
		expect(() => make([1, 2, 3])).not.toThrow();
	});

	test('levels are read under the id the source negotiated', () => {
		const rig = new StageRig({ voices: 1 });
		rig.director.addSource({ id: 'a', number: 1, levelExtensionId: LEVEL_ID + 1 });
		rig.feed('a', rig.packet('a', 0, QUIET), 0);
		// Under that id there is no level, so sending audio is talking.
		expect(rig.director.talkers().talkers).toEqual([{ number: 1, voice: 0 }]);
	});
});

import type { types } from 'mediasoup';
import { beforeEach, describe, expect, it } from 'vitest';
import { RELAY_KIND, type EdgeKind, edgeKindOf } from '../../sfu/edge/edge-kind.ts';
import { EdgeRouter } from '../../sfu/edge/edge-router.ts';
import { parseVoicePacket } from '../../sfu/edge/edge-voice.ts';
import { STALL_MS } from '../../sfu/link/stall-watch.ts';
import { writeRtpPacket } from '../../sfu/rtp/rtp-packet.ts';
import { OriginVoices } from '../../sfu/stage/origin-voices.ts';
import { STALL_LIMITS } from '../../server/web/browser/sdk/stall-detector.ts';

const VOICES = 3;
const SOLO = VOICES;
const TOC = 0x78;
const FRAME_MS = 20;
const SILENCE_EVERY_MS = 400;
const SPEECH = Buffer.of(TOC, 1, 2, 3);
const SILENCE = Buffer.of(TOC);

/** A worker that only tells what it is given to send. */
function workerFor(sent: (voice: number, packet: Buffer) => void): types.Worker {
	let produced = 0;
	const produce = async () => {
		const voice = produced++;
		return { id: `voice-${voice}`, consumableRtpParameters: {}, send: (packet: Buffer) => sent(voice, packet) };
	};
	const router = { createDirectTransport: async () => ({ produce }), close: () => undefined };
	return { createRouter: async () => router } as unknown as types.Worker;
}

const ALL = [0, 1, 2];
const LINK = [...ALL, SOLO];

/** When something was sent on each stream. */
class Sent {
	readonly atMs: number[][] = Array.from({ length: VOICES + 1 }, () => []);

	since(voice: number, fromMs: number): number[] {
		return (this.atMs[voice] ?? []).filter((atMs) => atMs >= fromMs);
	}

	/** The longest time without a packet for who takes these. */
	longestGapMs(fromMs: number, voices: readonly number[], untilMs: number): number {
		const at = [fromMs, ...voices.flatMap((voice) => this.since(voice, fromMs)).toSorted((a, b) => a - b), untilMs];
		return Math.max(...at.slice(1).map((ms, index) => ms - (at[index] ?? 0)));
	}
}

describe.each([
	['an edge linked to the origin', false],
	['an edge behind a relay', true],
])('silence on %s', (_what, relayed) => {
	let edge: EdgeRouter;
	/** What the edge is linked to: the origin's voices go through a relay or not. */
	let upstream: (voice: number, packet: Buffer) => void;
	let relay: EdgeRouter | undefined;
	let origin: OriginVoices;
	let nowMs: number;
	/** To the edge over its link; and from there to listeners. */
	let linked: Sent;
	let heard: Sent;
	const sequence = new Map<number, number>();

	beforeEach(async () => {
		nowMs = 0;
		sequence.clear();
		linked = new Sent();
		heard = new Sent();
		const open = (kind: EdgeKind, sent: (voice: number, packet: Buffer) => void) =>
			EdgeRouter.create({ worker: workerFor(sent), kind, voices: VOICES, packingMs: 60, nowMs, onDemand: () => undefined });
		const take = (router: EdgeRouter, voice: number, packet: Buffer): void => router.onVoicePacket(voice, parseVoicePacket(packet) ?? expect.fail('a malformed packet'), nowMs);
		edge = await open(edgeKindOf(111, 120, undefined), (voice) => heard.atMs[voice]?.push(nowMs));
		edge.addTaker(ALL);
		edge.addTaker([SOLO]);
		const toEdge = (voice: number, packet: Buffer): void => {
			linked.atMs[voice]?.push(nowMs);
			take(edge, voice, packet);
		};
		relay = relayed ? await open(RELAY_KIND, toEdge) : undefined;
		relay?.addTaker(LINK);
		upstream = relay ? (voice, packet) => relay && take(relay, voice, packet) : toEdge;
		origin = new OriginVoices({ ssrcs: [1, 2, 3, 4], packingMs: 60, nowMs, emit: (voice, packet) => upstream(voice, packet) });
	});

	/** As the director has it: these speak, the others tell every 400 ms that they are silent, or are told so at the end of what they said. */
	function pass(ms: number, speaking: readonly number[]): void {
		for (const untilMs = nowMs + ms; nowMs < untilMs; nowMs += FRAME_MS) {
			for (const voice of LINK) {
				const speaks = speaking.includes(voice);
				if (speaks || nowMs % SILENCE_EVERY_MS === 0) {
					const sequenceNumber = ((sequence.get(voice) ?? 0) + 1) & 0xffff;
					sequence.set(voice, sequenceNumber);
					origin.onPacket(voice, writeRtpPacket({ payloadType: 111, marker: false, sequenceNumber, timestamp: nowMs * 48, ssrc: voice + 1, payload: speaks ? SPEECH : SILENCE }), nowMs);
				}
			}
			origin.tick(nowMs);
			relay?.tick(nowMs);
			edge.tick(nowMs);
		}
	}
	/** Nothing comes from upstream any more. */
	function passAlone(ms: number): void {
		for (const untilMs = nowMs + ms; nowMs < untilMs; nowMs += FRAME_MS) {
			relay?.tick(nowMs);
			edge.tick(nowMs);
		}
	}

	it('pulses on the first voice, and on solo, when nobody speaks', () => {
		pass(30_000, []);
		for (const sent of [linked, heard]) {
			expect(sent.since(0, 10_000)).toHaveLength(50);
			expect(sent.since(SOLO, 10_000)).toHaveLength(50);
			expect(sent.longestGapMs(1, ALL, nowMs)).toBe(400);
		}
		expect(linked.since(1, 6_000)).toHaveLength(20);
		expect(heard.since(1, 12_000).length).toBeLessThanOrEqual(1);
	});

	it('is hardly sent while another voice speaks', () => {
		pass(12_000, []);
		const fromMs = nowMs;
		pass(24_000, [1, SOLO]);
		expect(linked.since(0, fromMs).length).toBeLessThanOrEqual(21);
		expect(linked.since(2, fromMs).length).toBeLessThanOrEqual(21);
		expect(heard.since(0, fromMs).length).toBeLessThanOrEqual(2);
		expect(heard.since(2, fromMs).length).toBeLessThanOrEqual(2);
		expect(heard.longestGapMs(fromMs, ALL, nowMs)).toBeLessThanOrEqual(120);
	});

	it('costs a link one packet in 1.2 s of each voice beside the first, which speaks', () => {
		pass(12_000, [0, SOLO]);
		const fromMs = nowMs;
		pass(48_000, [0, SOLO]);
		expect(linked.since(0, fromMs)).toHaveLength(800);
		expect(linked.since(1, fromMs)).toHaveLength(40);
		expect(heard.since(0, fromMs)).toHaveLength(800);
		expect(heard.since(1, fromMs).length).toBeGreaterThanOrEqual(2);
		expect(heard.since(1, fromMs).length).toBeLessThanOrEqual(3);
	});

	it('pulses again as soon as all are silent, whichever voice was the last', () => {
		pass(10_000, [2]);
		const silentFromMs = nowMs;
		pass(10_000, []);
		// Two pulses fit into what an edge takes for a dead link: one may be lost.
		expect(linked.longestGapMs(silentFromMs, ALL, nowMs)).toBeLessThan(STALL_MS / 2);
		expect(heard.longestGapMs(silentFromMs, ALL, nowMs)).toBeLessThanOrEqual(SILENCE_EVERY_MS);
		expect(heard.since(0, silentFromMs).length).toBeGreaterThanOrEqual(22);
	});

	it('comes at the pulse to who takes solo alone, and to who takes all, whoever speaks', () => {
		pass(10_000, [SOLO]);
		expect(heard.longestGapMs(1, ALL, nowMs)).toBe(400);
		const fromMs = nowMs;
		pass(10_000, []);
		expect(heard.longestGapMs(fromMs, [SOLO], nowMs)).toBeLessThanOrEqual(400);
	});

	it('pulses by itself when the upstream goes in mid-speech, and keeps every voice alive', () => {
		pass(10_000, [1]);
		const goneAtMs = nowMs;
		passAlone(60_000);
		expect(heard.longestGapMs(goneAtMs, ALL, nowMs)).toBeLessThanOrEqual(SILENCE_EVERY_MS);
		expect(heard.longestGapMs(goneAtMs, [SOLO], nowMs)).toBeLessThanOrEqual(SILENCE_EVERY_MS);
		expect(heard.since(0, goneAtMs).length).toBeGreaterThanOrEqual(145);
		for (const voice of [1, 2]) {
			// A page takes it for stalled only when three in a row are lost.
			expect(3 * heard.longestGapMs(goneAtMs, [voice], nowMs)).toBeLessThan(STALL_LIMITS.voiceMs);
		}
		if (relayed) {
			expect(linked.longestGapMs(goneAtMs, ALL, nowMs)).toBeLessThan(STALL_MS / 2);
			expect(linked.longestGapMs(goneAtMs, [SOLO], nowMs)).toBeLessThan(STALL_MS / 2);
		}
	});

	it('goes on without a break when another upstream takes over in a silence', () => {
		pass(10_000, []);
		edge.setUpstream('another');
		relay?.setUpstream('another');
		sequence.clear();
		const fromMs = nowMs;
		pass(10_000, []);
		expect(heard.longestGapMs(fromMs, ALL, nowMs)).toBeLessThanOrEqual(SILENCE_EVERY_MS);
	});
});

import type { types } from 'mediasoup';
import { beforeEach, describe, expect, it } from 'vitest';
import { edgeKindOf } from '../../sfu/edge/edge-kind.ts';
import { EdgeRouter } from '../../sfu/edge/edge-router.ts';
import { parseVoicePacket } from '../../sfu/edge/edge-voice.ts';
import { writeRtpPacket } from '../../sfu/rtp/rtp-packet.ts';

const VOICES = 3;
const SOLO = VOICES;
const TOC = 0x78;
const FRAME_MS = 20;
const SILENCE_EVERY_MS = 400;
const SPEECH = Buffer.of(TOC, 1, 2, 3);
const SILENCE = Buffer.of(TOC);

/** A worker that only counts what it is given to send. */
function workerFor(sent: (voice: number) => void): types.Worker {
	let produced = 0;
	const produce = async () => {
		const voice = produced++;
		return { id: `voice-${voice}`, consumableRtpParameters: {}, send: () => sent(voice) };
	};
	const router = { createDirectTransport: async () => ({ produce }), close: () => undefined };
	return { createRouter: async () => router } as unknown as types.Worker;
}

describe('silence on an edge', () => {
	let router: EdgeRouter;
	let sentAtMs: number[][];
	let nowMs: number;
	const sequence = new Map<number, number>();

	beforeEach(async () => {
		sentAtMs = Array.from({ length: VOICES + 1 }, () => []);
		nowMs = 0;
		sequence.clear();
		router = await EdgeRouter.create({
			worker: workerFor((voice) => sentAtMs[voice]?.push(nowMs)),
			kind: edgeKindOf(111, 120, undefined),
			voices: VOICES,
			packingMs: 60,
			nowMs,
			onDemand: () => undefined,
		});
		router.addTaker([0, 1, 2]);
		router.addTaker([SOLO]);
	});

	function come(voice: number, payload: Buffer): void {
		const sequenceNumber = (sequence.get(voice) ?? 0) + 1;
		sequence.set(voice, sequenceNumber);
		const packet = parseVoicePacket(writeRtpPacket({ payloadType: 111, marker: false, sequenceNumber, timestamp: nowMs * 48, ssrc: voice + 1, payload }));
		router.onVoicePacket(voice, packet ?? expect.fail('a malformed packet'), nowMs);
	}

	/** All voices come from upstream as a stage sends them: these speak, the others send their silence. */
	function pass(ms: number, speaking: readonly number[]): void {
		for (const untilMs = nowMs + ms; nowMs < untilMs; nowMs += FRAME_MS) {
			for (let voice = 0; voice <= VOICES; voice++) {
				if (speaking.includes(voice)) {
					come(voice, SPEECH);
				} else if (nowMs % SILENCE_EVERY_MS === 0) {
					come(voice, SILENCE);
				}
			}
			router.tick(nowMs);
		}
	}
	const sentSince = (voice: number, fromMs: number): number[] => (sentAtMs[voice] ?? []).filter((atMs) => atMs >= fromMs);
	/** The longest time without a packet for who takes all voices. */
	const longestGapMs = (fromMs: number, voices: readonly number[]): number => {
		const at = [fromMs, ...voices.flatMap((voice) => sentSince(voice, fromMs)).toSorted((a, b) => a - b), nowMs];
		return Math.max(...at.slice(1).map((ms, index) => ms - (at[index] ?? 0)));
	};

	it('pulses on the first voice, and on solo, when nobody speaks', () => {
		pass(30_000, []);
		expect(sentSince(0, 10_000)).toHaveLength(50);
		expect(sentSince(SOLO, 10_000)).toHaveLength(50);
		expect(sentSince(1, 6_000)).toHaveLength(5);
		expect(longestGapMs(1, [0])).toBe(400);
	});

	it('needs no pulse while another voice speaks', () => {
		pass(2_000, []);
		pass(24_000, [1, SOLO]);
		expect(sentSince(0, 2_000).length).toBeLessThanOrEqual(5);
		expect(sentSince(2, 2_000).length).toBeLessThanOrEqual(5 + 3); // The train of its own beginning, and one in 4.8 s.
		expect(longestGapMs(1, [0, 1, 2])).toBeLessThanOrEqual(400);
	});

	it('pulses again as soon as all are silent, whichever voice was the last', () => {
		pass(10_000, [2]);
		const silentFromMs = nowMs;
		pass(10_000, []);
		expect(longestGapMs(silentFromMs, [0, 1, 2])).toBeLessThanOrEqual(800);
		expect(sentSince(0, silentFromMs).length).toBeGreaterThanOrEqual(22);
	});

	it('does not count the solo voice, which nobody takes beside the first', () => {
		pass(10_000, [SOLO]);
		expect(longestGapMs(1, [0])).toBe(400);
	});

	it('pulses by itself when the upstream goes in mid-speech', () => {
		pass(10_000, [1]);
		const goneAtMs = nowMs;
		for (; nowMs < goneAtMs + 5_000; nowMs += FRAME_MS) {
			router.tick(nowMs);
		}
		expect(longestGapMs(goneAtMs, [0, 1, 2])).toBeLessThanOrEqual(900);
		expect(sentSince(0, goneAtMs).length).toBeGreaterThanOrEqual(10);
	});
});

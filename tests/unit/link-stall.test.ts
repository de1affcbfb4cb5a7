import { describe, expect, it } from 'vitest';
import { EdgeVoice, parseVoicePacket } from '../../sfu/edge/edge-voice.ts';
import { StallWatch, STALL_MS } from '../../sfu/link/stall-watch.ts';
import { Director } from '../../sfu/stage/director.ts';
import { writeRtpPacket } from '../../sfu/rtp/rtp-packet.ts';

const VOICES = 3;
const STREAMS = VOICES + 1;
const STAGE_TICK_MS = 20;
const LISTENER_TICK_MS = 100;
const LENGTH_MS = 40_000;

const SPEECH = Buffer.from([0x78, 1, 2, 3, 4]);
const DTX = Buffer.of(0x78);

/** What a speaker's client sends at this moment, if it sends anything. */
type Microphone = (nowMs: number) => Buffer | undefined;
const every = (periodMs: number, payload: Buffer): Microphone => (nowMs) => (nowMs % periodMs === 0 ? payload : undefined);
const MICROPHONES: Record<string, { microphones: Microphone[]; onAir: boolean }> = {
	'nobody is on stage': { microphones: [], onAir: true },
	'somebody talks': { microphones: [every(20, SPEECH)], onAir: true },
	'somebody talks backstage': { microphones: [every(20, SPEECH)], onAir: false },
	'a quiet room': { microphones: [every(20, DTX)], onAir: true },
	'a quiet room whose encoder sends one packet every 400 ms': { microphones: [every(400, DTX)], onAir: true },
	'phrases and pauses': { microphones: [(nowMs) => every(20, nowMs % 5_000 < 1_700 ? SPEECH : DTX)(nowMs)], onAir: true },
	'somebody who is gone all at once': { microphones: [(nowMs) => (nowMs < 12_345 ? every(20, SPEECH)(nowMs) : undefined)], onAir: true },
	'four people in turn': { microphones: [0, 1, 2, 3].map((turn) => (nowMs) => every(20, Math.floor(nowMs / 700) % 4 === turn ? SPEECH : DTX)(nowMs)), onAir: true },
};

/** A timer as Node's: never early, late by up to 12 ms, and no two alike. */
class Timer {
	#dueMs: number;
	readonly #periodMs: number;
	#seed: number;

	constructor(periodMs: number, phaseMs: number) {
		this.#periodMs = periodMs;
		this.#dueMs = phaseMs;
		this.#seed = phaseMs + 1;
	}

	isDue(nowMs: number): boolean {
		if (nowMs < this.#dueMs) {
			return false;
		}
		this.#seed = (this.#seed * 48_271) % 0x7fff_ffff;
		this.#dueMs = nowMs + this.#periodMs + (this.#seed % 13);
		return true;
	}
}

interface Way {
	stage: keyof typeof MICROPHONES;
	/** Between origin and edge. */
	relays: number;
	phaseMs: number;
	/** The first link brings nothing from then until then. */
	cutMs?: { from: number; until: number };
	/** Of this many packets of each stream one is lost, on the link with this number (the last is 0) or on all. */
	loseEvery: number;
	lossyLink?: number;
}

/** When packets of each stream come in at the edge, over the last link. */
function arrivals({ stage, relays, phaseMs, cutMs, loseEvery, lossyLink }: Way): number[][] {
	const { microphones, onAir } = MICROPHONES[stage] ?? { microphones: [], onAir: true };
	const came: number[][] = Array.from({ length: STREAMS }, () => []);
	let nowMs = 0;
	// The last one first, for each sends to the one made before it.
	type Hop = (stream: number, packet: Buffer) => void;
	let next: Hop = (stream) => came[stream]?.push(nowMs);
	const listenerShards: { timer: Timer; voices: EdgeVoice[] }[] = [];
	const lossy = (to: Hop, link: number): Hop => {
		if (lossyLink !== undefined && link !== lossyLink) {
			return to;
		}
		const counts = Array.from({ length: STREAMS }, () => link);
		return (stream, packet) => {
			const count = (counts[stream] ?? 0) + 1;
			counts[stream] = count;
			if (count % loseEvery !== 0) {
				to(stream, packet);
			}
		};
	};
	for (let relay = 0; relay < relays; relay++) {
		const onwards = lossy(next, relay);
		const voices = Array.from(
			{ length: STREAMS },
			(_, stream) =>
				new EdgeVoice({ ssrc: stream + 1, payloadType: 111, packingMs: 'as-it-comes', nowMs: 0, random: () => 0.5, emit: (packet) => onwards(stream, packet) }),
		);
		listenerShards.push({ timer: new Timer(LISTENER_TICK_MS, (phaseMs * (relay + 3)) % LISTENER_TICK_MS), voices });
		next = (stream, packet) => {
			const parsed = parseVoicePacket(packet);
			if (parsed) {
				voices[stream]?.onUpstreamPacket(parsed, nowMs);
			}
		};
	}
	const first = lossy(next, relays);
	const director = new Director({
		voices: VOICES,
		payloadType: 111,
		ssrcs: [1, 2, 3, 4],
		nowMs: 0,
		onAir,
		emit: (stream, packet) => {
			if (!cutMs || nowMs < cutMs.from || nowMs >= cutMs.until) {
				first(stream, packet);
			}
		},
	});
	microphones.forEach((_, number) => director.addSource({ id: `speaker-${number}`, number }));
	const stageTimer = new Timer(STAGE_TICK_MS, phaseMs % STAGE_TICK_MS);
	for (; nowMs < LENGTH_MS; nowMs++) {
		for (const [number, microphone] of microphones.entries()) {
			const payload = microphone(nowMs);
			if (payload) {
				const packet = writeRtpPacket({ payloadType: 111, marker: false, sequenceNumber: (nowMs / 20) & 0xffff, timestamp: nowMs * 48, ssrc: number + 1, payload });
				director.onPacket(`speaker-${number}`, packet, nowMs);
			}
		}
		if (stageTimer.isDue(nowMs)) {
			director.tick(nowMs);
		}
		for (const { timer, voices } of listenerShards) {
			if (timer.isDue(nowMs)) {
				voices.forEach((voice) => voice.tick(nowMs));
			}
		}
	}
	return came;
}

/** What an edge that fetches these streams says of the link, at the pace of its own timer. */
function words(came: readonly number[][], fetched: readonly number[], phaseMs: number): string[] {
	const times = fetched.flatMap((stream) => came[stream] ?? []).toSorted((a, b) => a - b);
	const timer = new Timer(LISTENER_TICK_MS, phaseMs);
	const watch = new StallWatch(0);
	const said: string[] = [];
	let packets = 0;
	for (let nowMs = 0; nowMs < LENGTH_MS; nowMs++) {
		if (timer.isDue(nowMs)) {
			while (packets < times.length && (times[packets] ?? 0) <= nowMs) packets++;
			const word = watch.look(packets, true, nowMs);
			if (word) said.push(`${word} at ${nowMs}`);
		}
	}
	return said;
}

const largestGapMs = (times: readonly number[]) => [...times, LENGTH_MS].reduce((largest, atMs, index) => Math.max(largest, atMs - (times[index - 1] ?? 0)), 0);
const COMBINATIONS = Array.from({ length: 2 ** STREAMS - 1 }, (_, bits) => Array.from({ length: STREAMS }, (_stream, stream) => stream).filter((stream) => ((bits + 1) >> stream) & 1));
const PHASES = [0, 7, 13, 58, 93];
const OUTAGE = { from: 10_050, until: 25_000 };

describe('a link that is well', () => {
	const cases = Object.keys(MICROPHONES).flatMap((stage) => [0, 1, 2].map((relays) => [stage, relays] as const));
	it.each(cases)('is never taken for stalled, whichever streams are fetched and although one packet in three is lost on any one link: %s, %i relays', (stage, relays) => {
		for (let lossyLink = 0; lossyLink <= relays; lossyLink++) {
			for (const phaseMs of PHASES) {
				const came = arrivals({ stage, relays, phaseMs, loseEvery: 3, lossyLink });
				expect(Math.max(...came.map(largestGapMs)), `link ${lossyLink} phase ${phaseMs}`).toBeLessThan(STALL_MS - 80);
				for (const fetched of COMBINATIONS) {
					expect(words(came, fetched, phaseMs), `link ${lossyLink} fetched ${fetched.join()} phase ${phaseMs}`).toEqual([]);
				}
			}
		}
	});

	it.each([1, 2])('stays so for edges behind %i relays while the first has no upstream, one packet in three lost on every link', (relays) => {
		for (const phaseMs of PHASES) {
			const came = arrivals({ stage: 'somebody talks', relays, phaseMs, cutMs: OUTAGE, loseEvery: 3 });
			for (const fetched of COMBINATIONS) {
				expect(words(came, fetched, phaseMs), `fetched ${fetched.join()} phase ${phaseMs}`).toEqual([]);
			}
		}
	});

	it('leaves room for more than one lost packet in a row of every stream that an origin sends', () => {
		for (const phaseMs of PHASES) {
			const gaps = arrivals({ stage: 'nobody is on stage', relays: 0, phaseMs, loseEvery: Infinity }).map(largestGapMs);
			expect(Math.max(...gaps)).toBeLessThan(450);
		}
	});
});

describe('a link that brings nothing', () => {
	it('is said to be stalled after a second, again every second, and to flow when it does', () => {
		const came = arrivals({ stage: 'somebody talks', relays: 0, phaseMs: 0, cutMs: { from: 10_000, until: 14_500 }, loseEvery: Infinity });
		for (const phaseMs of PHASES) {
			const said = words(came, [VOICES], phaseMs).map((word) => [word.split(' ')[0], Number(word.split(' ').at(-1))] as const);
			expect(said.map(([word]) => word)).toEqual(['stalled', 'stalled', 'stalled', 'stalled', 'flowing']);
			for (const [index, [, atMs]] of said.slice(0, 4).entries()) {
				// Never early; each look may be 112 ms after the one before.
				expect(atMs - 10_000).toBeGreaterThanOrEqual((index + 1) * 1_000 - 20);
				expect(atMs - 10_000).toBeLessThan((index + 1) * 1_112 + 112);
			}
			expect(said[4]?.[1]).toBeLessThan(14_500 + 112);
		}
	});

	it('is not accused of what was the edge\'s own delay', () => {
		const watch = new StallWatch(0);
		// Every look finds nothing, for this process was held up: the packets wait in its socket.
		for (const nowMs of [2_000, 4_000, 6_000, 8_000]) {
			expect(watch.look(0, true, nowMs)).toBeUndefined();
		}
		expect(watch.look(50, true, 8_100)).toBeUndefined();
	});

	it('is not late while nothing of it is fetched, and has a second from when something is', () => {
		const watch = new StallWatch(0);
		let nowMs = 0;
		const look = (expecting: boolean) => watch.look(7, expecting, (nowMs += 100));
		look(true);
		expect(Array.from({ length: 50 }, () => look(false)).filter(Boolean)).toEqual([]);
		expect(Array.from({ length: 9 }, () => look(true)).filter(Boolean)).toEqual([]);
		expect(look(true)).toBe('stalled');
	});

	it('does not say that it flows because nobody fetches it any more', () => {
		const watch = new StallWatch(0);
		let nowMs = 0;
		const look = (packets: number, expecting: boolean) => watch.look(packets, expecting, (nowMs += 100));
		expect(Array.from({ length: 10 }, () => look(0, true)).at(-1)).toBe('stalled');
		expect(look(0, false)).toBeUndefined();
		expect(look(1, true)).toBeUndefined();
	});
});

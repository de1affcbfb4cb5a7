import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LOUD, QUIET, StageRig } from '../support/director-rig.ts';
import type { Heard } from '../support/director-rig.ts';

const HANG_OVER_MS = 600;
const PRE_ROLL_PACKETS = 3;

interface Arrival {
	source: number;
	index: number;
	loud: boolean;
	atMs: number;
}

/** When a source talks and pauses, and what its network does to each packet. */
const plan = fc.record({
	stretches: fc.array(fc.record({ loud: fc.boolean(), packets: fc.integer({ min: 1, max: 60 }) }), { minLength: 1, maxLength: 8 }),
	fates: fc.array(
		fc.oneof(
			{ weight: 14, arbitrary: fc.constant('sound' as const) },
			{ weight: 1, arbitrary: fc.constantFrom('lost' as const, 'twice' as const, 'late' as const, 'later' as const) },
		),
		{ minLength: 1, maxLength: 60 },
	),
});
type Plan = typeof plan extends fc.Arbitrary<infer T> ? T : never;

const arrivalsOf = (plans: Plan[]): Arrival[] => {
	const arrivals: Arrival[] = [];
	plans.forEach(({ stretches, fates }, source) => {
		let index = 0;
		for (const { loud, packets } of stretches) {
			for (let count = 0; count < packets; count++, index++) {
				const fate = fates[index % fates.length]!;
				// Late packets come just behind the next one, or the one after that.
				const delayMs = fate === 'late' ? 21 : fate === 'later' ? 45 : 0;
				if (fate === 'lost') continue;
				arrivals.push({ source, index, loud, atMs: index * 20 + source + delayMs });
				if (fate === 'twice') arrivals.push({ source, index, loud, atMs: index * 20 + source + 3 });
			}
		}
	});
	return arrivals.toSorted((a, b) => a.atMs - b.atMs);
};

const perform = (voices: number, plans: Plan[], options: { onAir?: boolean } = {}): { rig: StageRig; arrivals: Arrival[] } => {
	const rig = new StageRig({ voices, random: () => 0.999_99, ...options });
	const arrivals = arrivalsOf(plans);
	plans.forEach((_, source) => rig.add(String(source), source + 1));
	let tickMs = 0;
	for (const { source, index, loud, atMs } of arrivals) {
		for (; tickMs <= atMs; tickMs += 20) rig.tick(tickMs);
		rig.feed(String(source), rig.packet(String(source), index, loud ? LOUD : QUIET), atMs);
	}
	for (const until = tickMs + 1500; tickMs < until; tickMs += 20) rig.tick(tickMs);
	return { rig, arrivals };
};

/** What a listener must be able to rely on in any stream; gaps and overlaps are checked as packets leave. */
const checkStream = (heard: Heard[]): void => {
	const lastIndex = new Map<number, number>();
	let former: Heard | undefined;
	for (const one of heard) {
		if (one.dtx) {
			expect(one.csrc).toBeUndefined();
		} else {
			// The speaker named is the speaker heard, and in their own order.
			expect(one.csrc).toBe(one.owner);
			expect(one.index).toBeGreaterThan(lastIndex.get(one.owner) ?? -1);
			lastIndex.set(one.owner, one.index);
			// A change of speaker, or speech after silence, is marked.
			if (!former || former.dtx || former.owner !== one.owner) expect(one.marker).toBe(true);
		}
		former = one;
	}
};

describe('any stage', () => {
	test('at most as many sources as voices: all are heard from the pre-roll to the end of the hang-over', () => {
		fc.assert(
			fc.property(fc.integer({ min: 1, max: 3 }), fc.array(plan, { minLength: 1, maxLength: 3 }), (voices, all) => {
				const plans = all.slice(0, voices);
				const { rig, arrivals } = perform(voices, plans);
				rig.out.forEach(checkStream);

				plans.forEach((_, source) => {
					const mine = arrivals.filter((one) => one.source === source);
					const required: Arrival[] = [];
					const seen = new Set<number>();
					let newest = -1;
					let lastLoudMs = -Infinity;
					let talking = false;
					// What came while it did not talk: packets that came too late in speech are lost for good.
					let ring: Arrival[] = [];
					for (const one of mine) {
						if (seen.has(one.index)) continue;
						seen.add(one.index);
						if (talking && one.atMs - lastLoudMs > HANG_OVER_MS && !one.loud) talking = false;
						// The timer ends a talk spurt whose packets have stopped, too.
						if (talking && Math.floor((one.atMs - 1) / 20) * 20 - lastLoudMs > HANG_OVER_MS) talking = false;
						if (one.loud && !talking) {
							talking = true;
							required.push(...ring.filter(({ index }) => index > newest && index < one.index && index >= one.index - PRE_ROLL_PACKETS), one);
							newest = one.index;
							ring = [];
						} else if (!talking) {
							ring.push(one);
						} else if (one.index > newest) {
							required.push(one);
							newest = one.index;
						}
						if (one.loud) lastLoudMs = one.atMs;
					}
					const heard = new Set(
						rig.out
							.slice(0, voices)
							.flat()
							.filter((one) => one.owner === source + 1)
							.map(({ index }) => index),
					);
					const missing = required.filter(({ index }) => !heard.has(index));
					// Only a voice that ran far ahead may leave something out, and that only of a pause.
					expect(missing.filter(({ loud }) => loud)).toEqual([]);
					expect(missing.length).toBeLessThanOrEqual(rig.director.stats.skipped);
				});
			}),
			{ numRuns: 200 },
		);
	});

	test('more sources than voices: streams stay whole, nobody is on two voices at once, nothing is heard twice', () => {
		fc.assert(
			fc.property(fc.integer({ min: 1, max: 3 }), fc.array(plan, { minLength: 2, maxLength: 6 }), (voices, plans) => {
				const { rig } = perform(voices, plans);
				rig.out.forEach(checkStream);
				const packets = rig.out
					.slice(0, voices)
					.flat()
					.filter(({ dtx }) => !dtx)
					.map(({ owner, index }) => `${owner}:${index}`);
				expect(new Set(packets).size).toBe(packets.length);
				// Of any instant each voice has one speaker: who has which is what the stage is told.
				for (const state of rig.announced as { talkers: { number: number; voice: number }[] }[]) {
					expect(new Set(state.talkers.map(({ number }) => number)).size).toBe(state.talkers.length);
					expect(new Set(state.talkers.map(({ voice }) => voice)).size).toBe(state.talkers.length);
				}
			}),
			{ numRuns: 100 },
		);
	});

	test('off air no source is ever heard', () => {
		fc.assert(
			fc.property(fc.array(plan, { minLength: 1, maxLength: 4 }), (plans) => {
				const { rig } = perform(2, plans, { onAir: false });
				expect(rig.out.flat().filter(({ dtx, csrc }) => !dtx || csrc !== undefined)).toEqual([]);
			}),
			{ numRuns: 50 },
		);
	});

	test('joins, departures, replacements, going on and off air, at any moment: streams stay whole', () => {
		const event = fc.oneof(
			{ weight: 10, arbitrary: fc.record({ kind: fc.constant('talk' as const), ids: fc.subarray(['0', '1', '2', '3']), sound: fc.constantFrom(LOUD, LOUD, -45, QUIET, undefined, 'dtx' as const), ms: fc.integer({ min: 1, max: 40 }).map((packets) => packets * 20) }) },
			{ weight: 1, arbitrary: fc.record({ kind: fc.constant('leave' as const), id: fc.constantFrom('0', '1', '2', '3') }) },
			{ weight: 2, arbitrary: fc.record({ kind: fc.constant('join' as const), id: fc.constantFrom('0', '1', '2', '3'), levels: fc.boolean() }) },
			{ weight: 1, arbitrary: fc.record({ kind: fc.constant('air' as const), onAir: fc.boolean() }) },
		);
		fc.assert(
			fc.property(fc.integer({ min: 1, max: 3 }), fc.array(event, { maxLength: 60 }), (voices, events) => {
				const rig = new StageRig({ voices });
				for (let source = 0; source < 4; source++) rig.add(String(source), source + 1);
				let onAir = true;
				for (const one of events) {
					if (one.kind === 'talk') rig.run(one.ms, Object.fromEntries(one.ids.map((id) => [id, one.sound])));
					else if (one.kind === 'leave') rig.director.removeSource(one.id, rig.nowMs);
					else if (one.kind === 'join') rig.add(one.id, Number(one.id) + 1, one.levels);
					else rig.director.setOnAir((onAir = one.onAir), rig.nowMs);
					if (!onAir) expect(rig.out.flat().filter(({ dtx, atMs }) => !dtx && atMs > rig.nowMs)).toEqual([]);
				}
				rig.run(3000, {});
				for (const heard of rig.out) {
					// The source's own DTX in a hang-over bears its CSRC; a keep-alive none.
					for (const { dtx, csrc, owner } of heard) if (!dtx) expect(csrc).toBe(owner);
					expect(heard.at(-1)!.dtx).toBe(true);
					expect(heard.at(-1)!.atMs).toBeGreaterThan(rig.nowMs - 420);
				}
				expect(rig.director.talkers()).toEqual({ talkers: [], dominant: null });
			}),
			{ numRuns: 200 },
		);
	});

	test('random bytes never throw and never leave', () => {
		fc.assert(
			fc.property(fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 30 }), fc.boolean(), (packets, likely) => {
				const rig = new StageRig({ voices: 1 });
				rig.add('a', 1);
				packets.forEach((bytes, index) => {
					const buffer = Buffer.from(bytes);
					if (likely && buffer.length > 0) buffer[0] = 0x80 | (buffer[0]! & 0x3f);
					rig.feed('a', buffer, index * 20);
					rig.tick(index * 20);
				});
				const { packetsIn } = rig.director.stats;
				expect(packetsIn).toBe(packets.length);
			}),
			{ numRuns: 500 },
		);
	});
});

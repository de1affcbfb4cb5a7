import { describe, expect, it } from 'vitest';
import { HeldUp } from '../../sfu/shard/held-up.ts';

const TICK_MS = 20;

/** What each of these ticks says. */
function said(...atMs: number[]): boolean[] {
	const heldUp = new HeldUp(TICK_MS);
	return atMs.map((nowMs) => heldUp.tick(nowMs));
}

describe('a process that looks at its own timer', () => {
	it.each<[string, number[], boolean[]]>([
		['takes the first tick as it is, whenever it comes', [5_000], [false]],
		['minds no jitter', [0, 20, 55, 60, 120], [false, false, false, false, false]],
		['tells the tick behind a stall, and only that', [0, 20, 170, 190, 210], [false, false, true, false, false]],
		['tells both of a timer that was due when the process stopped', [0, 20, 170, 172, 192], [false, false, true, true, false]],
		['lets no two ticks pass, so that it works although it is always late', [0, 100, 200, 300, 400], [false, true, false, true, false]],
	])('%s', (_, atMs, told) => {
		expect(said(...atMs)).toEqual(told);
	});
});

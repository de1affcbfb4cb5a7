/** How arrivals lie within a window: evenly, at random, or ever denser (their rate grows from nothing). */
export const ARRIVALS = ['even', 'jitter', 'ramp'] as const;
export type Arrivals = (typeof ARRIVALS)[number];

export interface ScheduleOptions {
	listeners: number;
	/** Length of the window of one wave. */
	withinMs: number;
	arrivals: Arrivals;
	/** The listeners come in as many equal portions. */
	waves: number;
	/** From the beginning of one wave to that of the next. */
	waveEveryMs: number;
	/** 0 (inclusive) to 1 (exclusive). */
	random: () => number;
}

/**
 * When each listener wants in, in ms from the start, in order. Fixed before anything begins: however the server does,
 * nobody comes later for it (an open model; waiting for answers would hide exactly what a storm does).
 */
export function scheduleOf({ listeners, withinMs, arrivals, waves, waveEveryMs, random }: ScheduleOptions): number[] {
	const times: number[] = [];
	for (let wave = 0; wave < waves; wave++) {
		const count = Math.floor((listeners + wave) / waves);
		for (let index = 0; index < count; index++) {
			times.push(wave * waveEveryMs + withinMs * PLACES[arrivals](index, count, random));
		}
	}
	return times.toSorted((a, b) => a - b);
}

/** From 0 to 1. */
const PLACES: Record<Arrivals, (index: number, count: number, random: () => number) => number> = {
	even: (index, count) => index / count,
	jitter: (_index, _count, random) => random(),
	ramp: (index, count) => Math.sqrt(index / count),
};

/** Deals out what there is in turn, so that every process has its part of every moment. */
export function dealOut<T>(items: readonly T[], hands: number): T[][] {
	const dealt: T[][] = Array.from({ length: hands }, () => []);
	for (const [index, item] of items.entries()) {
		dealt[index % hands]?.push(item);
	}
	return dealt;
}

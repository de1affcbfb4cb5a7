import { describe, expect, it } from 'vitest';
import { LinkLag } from '../../sfu/link/link-lag.ts';

const SAMPLES_PER_MS = 48;

/** A stream whose packets left when their timestamps say and came `lateMs` later. */
function lagAfter(packets: readonly { sentMs: number; lateMs: number; jumpSamples?: number }[], firstTimestamp = 0): number {
	const lag = new LinkLag();
	let jumped = firstTimestamp;
	for (const { sentMs, lateMs, jumpSamples = 0 } of packets) {
		jumped += jumpSamples;
		lag.onPacket((jumped + sentMs * SAMPLES_PER_MS) >>> 0, sentMs + lateMs);
	}
	return lag.lagMs;
}

/** Every 20 ms of a time, `lateMs` late each. */
const speech = (fromMs: number, untilMs: number, lateMs: number | ((sentMs: number) => number)) =>
	Array.from({ length: (untilMs - fromMs) / 20 }, (_, index) => {
		const sentMs = fromMs + index * 20;
		return { sentMs, lateMs: typeof lateMs === 'number' ? lateMs : lateMs(sentMs) };
	});
/** Keep-alives every 400 ms. */
const silence = (fromMs: number, untilMs: number, lateMs: number) =>
	Array.from({ length: (untilMs - fromMs) / 400 }, (_, index) => ({ sentMs: fromMs + index * 400, lateMs }));

describe('the lag of a link', () => {
	it.each<[string, Parameters<typeof lagAfter>[0], number]>([
		['nothing has come', [], 0],
		['one packet knows no better', [{ sentMs: 0, lateMs: 80 }], 0],
		['a steady stream has none, however far away', speech(0, 5_000, 70), 0],
		['every packet comes 30 ms later than the first ones did', [...speech(0, 1_000, 5), ...speech(1_000, 3_000, 35)], 30],
		['the first packets were the late ones', [...speech(0, 1_000, 90), ...speech(1_000, 3_000, 10)], 0],
		['silence is no lag', [...speech(0, 1_000, 5), ...silence(1_000, 20_000, 5), ...speech(20_000, 21_000, 5)], 0],
		['keep-alives alone tell of it', [...silence(0, 10_000, 5), ...silence(10_000, 40_000, 205)], 200],
		['every other packet is 10 ms late', speech(0, 5_000, (sentMs) => (sentMs % 40 === 0 ? 0 : 10)), 5],
		['a queue that lasts for more than a minute is the way it is', [...speech(0, 10_000, 0), ...speech(10_000, 75_000, 50)], 0],
		['a queue that lasts for less still is one', [...speech(0, 28_000, 0), ...speech(28_000, 58_000, 50)], 50],
		['after a minute of nothing the old way is forgotten', [...speech(0, 1_000, 0), ...speech(70_000, 71_000, 50)], 0],
		['timestamps jump, as when a speaker restarts', [...speech(0, 1_000, 5), { sentMs: 1_000, lateMs: 5, jumpSamples: 2 ** 31 - 1 }, ...speech(1_020, 2_000, 5)], 0],
		['timestamps jump back', [...speech(0, 1_000, 5), { sentMs: 1_000, lateMs: 5, jumpSamples: -(2 ** 30) }, ...speech(1_020, 2_000, 5)], 0],
		['after a jump lag is measured anew', [...speech(0, 1_000, 5), { sentMs: 1_000, lateMs: 5, jumpSamples: 2 ** 30 }, ...speech(1_020, 2_000, 5), ...speech(2_000, 4_000, 25)], 20],
		['a packet that comes out of turn changes nothing', [...speech(0, 1_000, 5), { sentMs: 960, lateMs: 45 }, ...speech(1_000, 3_000, 5)], 0],
	])('%s', (_what, packets, expectedMs) => {
		// Half a millisecond of room is what the mean of every other packet needs.
		expect(Math.abs(lagAfter(packets) - expectedMs)).toBeLessThan(0.7);
	});

	it.each([2 ** 32 - 1, 2 ** 32 - 48_000, 2 ** 31 - 1, 12_345])('does not depend on where timestamps begin or wrap: %i', (firstTimestamp) => {
		const packets = [...speech(0, 2_000, 3), ...speech(2_000, 4_000, 43)];
		expect(lagAfter(packets, firstTimestamp)).toBe(lagAfter(packets, 0));
		expect(lagAfter(packets, firstTimestamp)).toBeCloseTo(40, 1);
	});

	it('holds over a day of speech, through twenty wraps', () => {
		const lag = new LinkLag();
		for (let sentMs = 0; sentMs < 86_400_000; sentMs += 1_000) lag.onPacket((sentMs * SAMPLES_PER_MS) >>> 0, sentMs);
		for (let sentMs = 86_400_000; sentMs < 86_430_000; sentMs += 100) lag.onPacket((sentMs * SAMPLES_PER_MS) >>> 0, sentMs + 12);
		expect(lag.lagMs).toBeCloseTo(12, 1);
	});

	it('follows clocks that part from each other slowly', () => {
		// 100 ppm: 6 ms in a minute, hours on end.
		const lag = new LinkLag();
		for (let sentMs = 0; sentMs < 8 * 3_600_000; sentMs += 200) lag.onPacket((sentMs * SAMPLES_PER_MS) >>> 0, sentMs * 1.000_1);
		expect(lag.lagMs).toBeLessThan(7);
	});
});

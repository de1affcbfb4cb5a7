import { setImmediate as turn } from 'node:timers/promises';
import pino from 'pino';
import { beforeEach, describe, expect, it } from 'vitest';
import { CrowdWatch } from '../../sfu/edge/crowd-watch.ts';
import { edgeKindOf } from '../../sfu/edge/edge-kind.ts';
import type { EdgeRouter } from '../../sfu/edge/edge-router.ts';
import type { ListenerTransport } from '../../sfu/edge/listener-transport.ts';
import type { SpareRow } from '../../sfu/edge/spare-row.ts';
import { SpareRows, spareShare } from '../../sfu/edge/spare-rows.ts';

const TICK_MS = 100;
const COMMON = edgeKindOf(111, 120, undefined);
const FIREFOX = edgeKindOf(109, 120, undefined);

describe('a crowd', () => {
	it.each([
		[4, 0],
		[5, 1],
		[20, 16],
	])('is whoever is more than the fourth within a tick: of %i, %i', (joins, inCrowd) => {
		const watch = new CrowdWatch();
		expect(Array.from({ length: joins }, () => watch.joined()).filter(Boolean)).toHaveLength(inCrowd);
		watch.tick(TICK_MS);
		expect(watch.joined()).toBe(false);
	});

	it('is remembered by when it came last', () => {
		const watch = new CrowdWatch();
		watch.tick(0);
		expect(watch.calmMs(0)).toBe(Infinity);
		for (let join = 0; join < 5; join++) watch.joined();
		watch.tick(TICK_MS);
		watch.joined();
		watch.tick(2 * TICK_MS);
		expect(watch.calmMs(5_100)).toBe(5_000);
	});
});

it.each([
	[512, 1, 512],
	[512, 3, 170],
	[5, 8, 0],
	[512, 0, 0],
	[-3, 2, 0],
])('of %i that a shard may make, %i rooms may have %i each', (spare, rooms, each) => {
	expect(spareShare(spare, rooms)).toBe(each);
});

/** A row without mediasoup: transports are made when `made` is called. */
class Row {
	readonly router = { kind: COMMON } as EdgeRouter;
	ready = 0;
	wanted = 0;
	taken = 0;
	isClosed = false;
	fails = false;
	#made: (() => void)[] = [];

	get size(): number {
		return this.ready + this.wanted;
	}
	take(): ListenerTransport | undefined {
		if (this.ready === 0) return undefined;
		this.ready--;
		this.taken++;
		return { ssrcs: [] } as unknown as ListenerTransport;
	}
	async add(count: number): Promise<void> {
		if (this.fails) throw new Error('the worker is gone');
		this.wanted += count;
		await new Promise<void>((resolve) => this.#made.push(resolve));
		this.wanted -= count;
		this.ready += count;
	}
	shrink(count: number): void {
		this.ready = Math.min(this.ready, count);
	}
	close(): void {
		this.isClosed = true;
		this.ready = 0;
	}
	made(): void {
		for (const resolve of this.#made.splice(0)) resolve();
	}
}

describe('rows of transports for a crowd', () => {
	let rows: Row[];
	let spare: SpareRows;
	let nowMs: number;
	let warnings: number;
	let breaksFirst: boolean;

	beforeEach(() => {
		rows = [];
		nowMs = 0;
		warnings = 0;
		breaksFirst = false;
		const log = pino({ level: 'warn' }, { write: () => void warnings++ });
		spare = new SpareRows({
			open: (kind) => Promise.resolve({ kind } as EdgeRouter),
			kindToExpect: () => COMMON,
			makeRow: () => {
				const row = new Row();
				row.fails = breaksFirst && rows.length === 0;
				rows.push(row);
				return row as unknown as SpareRow;
			},
			log,
		});
	});

	const tick = async (target: number, ticks = 1, busy = false): Promise<void> => {
		for (let index = 0; index < ticks; index++) {
			spare.tick(target, (nowMs += TICK_MS), busy);
			await turn();
			rows.at(-1)?.made();
			await turn();
		}
	};
	const crowd = (people: number): number => Array.from({ length: people }, () => spare.take(COMMON)).filter(Boolean).length;

	it('are filled little by little up to what is asked for, and no further', async () => {
		await tick(20);
		expect(spare.size).toBe(8);
		await tick(20, 2);
		expect(spare.size).toBe(20);
		await tick(20, 10);
		expect([rows.length, spare.size]).toEqual([1, 20]);
	});

	it('are asked for more only when what was asked for is there', async () => {
		spare.tick(20, (nowMs += TICK_MS));
		await turn();
		await turn();
		expect(rows[0]?.wanted).toBe(8);
		spare.tick(20, (nowMs += TICK_MS));
		await turn();
		expect(rows[0]?.wanted).toBe(8);
	});

	it('wait while the processor is needed for those who listen, and are given out and closed all the same', async () => {
		await tick(20);
		await tick(20, 10, true);
		expect([spare.size, crowd(6)]).toEqual([8, 2]); // The first four of a crowd are not known for one.
		await tick(0, 60, true);
		expect(spare.size).toBe(0);
		expect(rows[0]?.isClosed).toBe(true);
		await tick(20);
		expect([rows.length, spare.size]).toEqual([2, 8]);
	});

	it('are left alone by people who come one by one', async () => {
		await tick(20, 3);
		for (let second = 0; second < 10; second++) {
			expect(crowd(4)).toBe(0);
			await tick(20);
		}
		expect([rows[0]?.taken, spare.size]).toEqual([0, 20]);
	});

	it('are for a crowd, to the last one, and not refilled before it is in', async () => {
		await tick(20, 3);
		expect(crowd(10)).toBe(6);
		await tick(20);
		// Begun: whoever comes next takes one as well, for what is left does not keep.
		expect(crowd(1)).toBe(1);
		await tick(20);
		expect(crowd(30)).toBe(13);
		await tick(20, 40);
		expect([rows.length, spare.size]).toEqual([1, 0]);
		await tick(20, 20);
		expect([rows.length, spare.size]).toEqual([2, 20]);
		expect(rows[0]?.isClosed).toBe(true);
	});

	it('are closed half a minute after a crowd that did not need them all, and made anew', async () => {
		await tick(20, 3);
		expect(crowd(10)).toBe(6);
		await tick(20, 290);
		expect([rows.length, spare.size, rows[0]?.isClosed]).toEqual([1, 14, false]);
		await tick(20, 20);
		expect(rows[0]?.isClosed).toBe(true);
		expect([rows.length, spare.size]).toEqual([2, 20]);
	});

	it('are for clients of their kind', async () => {
		await tick(20, 3);
		expect(Array.from({ length: 10 }, () => spare.take(FIREFOX)).filter(Boolean)).toEqual([]);
		expect(crowd(1)).toBe(1);
	});

	it('shrink, a few at a time, when half of them would do, and go with the last listener', async () => {
		await tick(20, 3);
		await tick(11, 10);
		expect(spare.size).toBe(20);
		await tick(9);
		expect(spare.size).toBe(12);
		await tick(9, 5);
		expect(spare.size).toBe(9);
		await tick(0);
		expect([spare.size, rows[0]?.isClosed]).toEqual([1, false]);
		await tick(0, 2);
		expect([spare.size, rows[0]?.isClosed]).toEqual([0, true]);
		await tick(20, 3);
		expect([rows.length, spare.size]).toEqual([2, 20]);
	});

	it('pause when one could not be made, with one word about it', async () => {
		await tick(20);
		(rows[0] as Row).fails = true;
		await tick(20, 50);
		expect([spare.size, warnings]).toEqual([8, 1]);
		(rows[0] as Row).fails = false;
		await tick(20, 60);
		expect([spare.size, warnings]).toEqual([20, 1]);
	});

	it('begin anew on another router when not even the first could be made', async () => {
		breaksFirst = true;
		await tick(20);
		expect([rows.length, spare.size, warnings]).toEqual([1, 0, 1]);
		await tick(20, 110);
		expect([rows.length, spare.size, warnings]).toEqual([2, 20, 1]);
	});

	it('are held by their router until a crowd has begun and left them', async () => {
		await tick(4);
		const router = (rows[0] as Row).router;
		expect(spare.holds(router)).toBe(true);
		expect(crowd(8)).toBe(4);
		await tick(4, 60);
		expect(spare.holds(router)).toBe(false);
	});

	it('are gone when closed, those on their way among them', async () => {
		spare.tick(20, (nowMs += TICK_MS));
		spare.close();
		await turn();
		await turn();
		expect([rows, spare.size, warnings]).toEqual([[], 0, 0]);
		await tick(20, 3);
		expect(rows).toEqual([]);
	});
});

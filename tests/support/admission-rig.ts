import { type AdmittedJoin, JoinQueue, type JoinQueueOptions, type JoinRequest } from '../../server/placement/admission/join-queue.ts';
import type { JoinShards } from '../../server/placement/admission/join-shards.ts';
import { placeListener } from '../../server/placement/place-listener.ts';
import { seeded } from './seeded.ts';
import { SimulatedShard } from './simulated-shard.ts';
import { VirtualClock } from './virtual-clock.ts';

export const EPOCH_MS = Date.parse('2026-05-24T20:00:00.000Z');

interface Slot {
	readonly shard: SimulatedShard;
	alive: boolean;
	draining: boolean;
	listeners: number;
	joining: number;
	most: number;
	/** Ends joins that were under way when the shard died. */
	readonly fail: Set<() => void>;
}

/** What became of somebody. */
export interface Fate {
	readonly arrivedMs: number;
	settledMs: number | undefined;
	shard: number | undefined;
	error: unknown;
}

export interface RigOptions {
	shards: { places: number; workMs: number }[];
	options?: Partial<Pick<JoinQueueOptions, 'maxWaitMs' | 'maxUnderWayPerShard' | 'others' | 'lagMs' | 'random'>>;
}

/** A queue over simulated shards on a virtual clock. Promises settle in `run`, which lets time pass in small steps. */
export class AdmissionRig implements JoinShards {
	readonly clock = new VirtualClock();
	readonly queue: JoinQueue;
	readonly slots: Slot[];
	readonly fates: Fate[] = [];
	/** More than there are places, at any time. */
	overshot = false;
	readonly #places: number[];

	constructor({ shards, options }: RigOptions) {
		this.#places = shards.map(({ places }) => places);
		this.slots = shards.map(({ workMs }) => ({ shard: new SimulatedShard({ clock: this.clock, workMs }), alive: true, draining: false, listeners: 0, joining: 0, most: 0, fail: new Set() }));
		this.queue = new JoinQueue({ shards: this, maxUnderWayPerShard: 32, maxWaitMs: 1_500, clock: this.clock, now: () => this.now, random: seeded(1), ...options });
	}

	/** Milliseconds since the epoch. */
	get now(): number {
		return EPOCH_MS + this.clock.nowMs();
	}

	place(_roomId: string, mayTake: (shard: number) => boolean): number | undefined {
		return placeListener(
			this.slots.flatMap(({ alive, draining, listeners, joining }, index) => (mayTake(index) ? [{ index, alive, draining, listeners, joining, maxListeners: this.#places[index] ?? 0, cpuRatio: 0 }] : [])),
		).shard;
	}

	reserve(index: number) {
		const slot = this.#slot(index);
		slot.joining++;
		this.#look(index);
		return {
			seated: () => void slot.listeners++,
			done: () => {
				slot.joining--;
				this.#look(index);
			},
		};
	}

	forEachOpen(each: (shard: number, places: number) => void): void {
		for (const [index, { alive, draining, listeners, joining }] of this.slots.entries()) {
			if (alive && !draining) each(index, (this.#places[index] ?? 0) - listeners - joining);
		}
	}

	/** Somebody comes. @returns what becomes of them, in time */
	come(request: Partial<JoinRequest> = {}): Fate {
		const fate: Fate = { arrivedMs: this.clock.nowMs(), settledMs: undefined, shard: undefined, error: undefined };
		this.fates.push(fate);
		const settle = (error: unknown) => {
			fate.settledMs = this.clock.nowMs();
			fate.error = error;
		};
		const seat = (join: AdmittedJoin) => {
			fate.shard = join.shard;
			const slot = this.#slot(join.shard);
			const end = (outcome: 'joined' | 'failed') => {
				if (slot.fail.delete(fail)) {
					if (outcome === 'joined') join.seated(0, 0);
					join.done(outcome);
					settle(outcome === 'failed' ? new Error('the shard failed') : undefined);
				}
			};
			const fail = () => end('failed');
			slot.fail.add(fail);
			join.asked();
			if (slot.alive) slot.shard.join(() => end('joined'));
			else fail();
		};
		try {
			const join = this.queue.admit({ roomId: 'hall', ...request });
			if (join instanceof Promise) join.then(seat, settle);
			else seat(join);
		} catch (error) {
			settle(error);
		}
		return fate;
	}

	kill(index: number): void {
		const slot = this.#slot(index);
		slot.alive = false;
		slot.listeners = 0;
		slot.shard.die();
		this.queue.shardDied(index);
		for (const fail of slot.fail) fail();
	}

	revive(index: number): void {
		this.#slot(index).alive = true;
		this.queue.changed();
	}

	/** Lets time pass, and shards report every second of it. */
	async run(durationMs: number, each?: () => void): Promise<void> {
		for (let passedMs = 0; passedMs < durationMs; passedMs += 5) {
			each?.();
			const before = Math.floor(this.clock.nowMs() / 1000);
			this.clock.advance(Math.min(5, durationMs - passedMs));
			await Promise.resolve();
			await Promise.resolve();
			if (Math.floor(this.clock.nowMs() / 1000) > before) {
				for (const [index, { alive, shard }] of this.slots.entries()) if (alive) this.queue.strain(index, shard.strain());
			}
		}
	}

	#slot(index: number): Slot {
		const slot = this.slots[index];
		if (!slot) throw new Error('there is no such shard');
		return slot;
	}

	#look(index: number): void {
		const { listeners, joining } = this.#slot(index);
		this.overshot ||= listeners + joining > (this.#places[index] ?? 0);
	}
}

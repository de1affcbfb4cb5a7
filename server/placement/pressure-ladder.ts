import type { PackingMs } from '../../sfu/contract/media-types.ts';
import { type EffortOf, type ShardEffort, shardEffort } from './shard-pressure.ts';
import { type StepChange, StepControl } from './step-control.ts';

export interface PressureLadderOptions {
	/** Whether packing gives way. */
	packing: boolean;
	/** Whether events do. */
	events: boolean;
	/** Effort from which on something gives way, 0 to 1; asked for at each look. Default 0.7. */
	riseAt?: () => number;
}

/** A listener shard as the ladder sees it. */
export interface PressedShard extends ShardEffort {
	index: number;
	listeners: number;
	/** Rooms there whose packing may grow, each with its listeners there and what it packs by itself. */
	rooms: readonly { listeners: number; packingMs: PackingMs }[];
}

/** Why a step was taken: what was short; or calm that is certain to last, or that may (`trial`). */
export type PressureReason = EffortOf | Exclude<StepChange, 'rise'>;

export interface PressureChange {
	/** Undefined: the node's events. */
	shard: number | undefined;
	/** Packing floors in ms, or cadence factors. */
	from: number;
	to: number;
	reason: PressureReason;
	effort: number;
}

export interface ShardPressureState {
	/** 0: none; 1 to 3: the packing floor's step; 4: nothing is left to pack, and it is pressed still. */
	level: number;
	/** Packets carry at least so much; 20 is none. */
	packingFloorMs: PackingMs;
}

export type EventCadence = 1 | 2 | 4;

const FLOORS: readonly PackingMs[] = [20, 40, 60, 120];
const CADENCES: readonly EventCadence[] = [1, 2, 4];
const AT_ITS_END = 4;
const RISE_AT = 0.7;
/** Of the shard's listeners: a step that reaches fewer is not worth taking. */
const WORTHWHILE = 0.1;
/** Of what there is of processor or packets: it cannot be told how much more there would be to do. */
const SPENT = 0.95;

/**
 * What gives way under pressure, and in which order: first the packing of each pressed listener shard up to its end, then
 * the events of the node, of which a pressed shard's machine has to write all. What the node's own process lacks, packing
 * does not give it: for that events go first. Admission is the next to act (see `level`). Pure: one call with the figures of each second.
 */
export class PressureLadder {
	readonly #options: PressureLadderOptions;
	readonly #riseAt: () => number;
	readonly #shards = new Map<number, { control: StepControl; figures: ShardEffort }>();
	readonly #events: StepControl;

	constructor(options: PressureLadderOptions) {
		this.#options = options;
		this.#riseAt = options.riseAt ?? (() => RISE_AT);
		this.#events = new StepControl({ steps: CADENCES, riseAt: this.#riseAt });
	}

	/** How much less often events are told. */
	get eventCadence(): EventCadence {
		return CADENCES[this.#events.step] ?? 1;
	}

	shard(index: number): ShardPressureState {
		const control = this.#shards.get(index)?.control;
		return { level: control?.atItsEnd ? AT_ITS_END : (control?.step ?? 0), packingFloorMs: FLOORS[control?.step ?? 0] ?? 20 };
	}

	/** The shard is another one from now on. */
	forget(index: number): void {
		this.#shards.delete(index);
	}

	/**
	 * @param shards those with figures of a second that was not looked at yet
	 * @param node the node's own process
	 */
	look(shards: readonly PressedShard[], node: ShardEffort, nowMs: number): PressureChange[] {
		const changes = shards.flatMap((shard) => this.#lookAtShard(shard, nowMs) ?? []);
		// A shard whose packing has more to give is not the events' business.
		const spent = [...this.#shards.values()].flatMap(({ control, figures }) => (control.atItsEnd ? [figures] : []));
		const worst = [node, ...spent].map(shardEffort).reduce((a, b) => (b.value > a.value ? b : a));
		const before = this.eventCadence;
		const why = this.#events.look({ value: worst.value, urgent: false }, nowMs, () => this.#options.events);
		if (why) {
			changes.push({ shard: undefined, from: before, to: this.eventCadence, reason: why === 'rise' ? worst.of : why, effort: worst.value });
		}
		return changes;
	}

	#lookAtShard({ index, listeners, rooms, ...figures }: PressedShard, nowMs: number): PressureChange | undefined {
		const control = this.#shards.get(index)?.control ?? new StepControl({ steps: FLOORS, riseAt: this.#riseAt });
		this.#shards.set(index, { control, figures });
		const { value, of } = shardEffort(figures);
		const before = FLOORS[control.step]!;
		const why = control.look({ value, urgent: value >= SPENT && of !== 'lag' }, nowMs, (step) => {
			const reached = rooms.reduce((sum, room) => sum + (Math.max(room.packingMs, before) < FLOORS[step]! ? room.listeners : 0), 0);
			return this.#options.packing && reached > 0 && reached >= listeners * WORTHWHILE;
		});
		return why && { shard: index, from: before, to: FLOORS[control.step]!, reason: why === 'rise' ? of : why, effort: value };
	}
}

import { distributionOf } from './distribution.ts';
import type { ListenerRecord, RefusalRecord, Tick } from './messages.ts';
import type { ShardSample } from './server-load.ts';

/** How the run went over time, for plots: columns of one length each, beginning with the time in s from the storm's start. */
export interface SurgeSeries {
	stepMs: number;
	atS: number[];
	wanted: number[];
	joined: number[];
	refused: number[];
	/** At the moment. */
	connected: (number | null)[];
	hearingHls: (number | null)[];
	waiting: (number | null)[];
	/** Of those who wanted in within the step. */
	joinP50Ms: (number | null)[];
	joinP99Ms: (number | null)[];
	joinMaxMs: (number | null)[];
	/** Largest in the step. */
	stormGapMs: (number | null)[];
	incumbentGapMs: (number | null)[];
	generatorCpu: (number | null)[];
	generatorLagMs: (number | null)[];
	/** By shard: of one core, worker and Node together; its listeners. */
	shards: { name: string; cpu: (number | null)[]; listeners: (number | null)[] }[];
}

export interface SeriesInput {
	zeroAtMs: number;
	endAtMs: number;
	records: readonly ListenerRecord[];
	refusals: readonly RefusalRecord[];
	ticks: readonly Tick[];
	shards: readonly ShardSample[];
}

const STEP_MS = 500;
const BEFORE_MS = 1_000;

export function seriesOf({ zeroAtMs, endAtMs, records, refusals, ticks, shards }: SeriesInput): SurgeSeries {
	const fromMs = zeroAtMs - BEFORE_MS;
	const steps = Math.max(1, Math.ceil((endAtMs - fromMs) / STEP_MS));
	const slotOf = (atMs: number): number => Math.floor((atMs - fromMs) / STEP_MS);
	const slots = <T>(make: (slot: number) => T): T[] => Array.from({ length: steps }, (_, slot) => make(slot));
	const counted = (times: readonly number[]): number[] => {
		const counts = slots(() => 0);
		for (const atMs of times) {
			const slot = slotOf(atMs);
			if (slot in counts) counts[slot] = (counts[slot] ?? 0) + 1;
		}
		return counts;
	};
	const grouped = <T extends { atMs: number }>(items: readonly T[]): T[][] => {
		const groups: T[][] = slots(() => []);
		for (const item of items) {
			groups[slotOf(item.atMs)]?.push(item);
		}
		return groups;
	};
	const entries = records.filter(({ group }) => group === 'arrivals').flatMap((record) => record.entries);
	const byWanted = grouped(entries.map((entry) => ({ atMs: entry.wantedAtMs, joinMs: entry.connectedAtMs === undefined ? undefined : entry.connectedAtMs - entry.wantedAtMs })));
	const joins = byWanted.map((group) => distributionOf(group.flatMap(({ joinMs }) => joinMs ?? [])));
	const bySlot = grouped(ticks);
	const storm = bySlot.map((group) => group.filter((tick) => tick.group !== 'incumbents'));
	const incumbents = bySlot.map((group) => group.filter((tick) => tick.group === 'incumbents'));
	const maxOf = (groups: readonly (readonly Tick[])[], of: (tick: Tick) => number): (number | null)[] =>
		groups.map((group) => (group.length === 0 ? null : round(Math.max(...group.map(of)))));
	const sumOf = (of: (tick: Tick) => number): (number | null)[] => sumsOf(bySlot, of);
	return {
		stepMs: STEP_MS,
		atS: slots((slot) => (slot * STEP_MS - BEFORE_MS) / 1_000),
		wanted: counted(entries.map(({ wantedAtMs }) => wantedAtMs)),
		joined: counted(entries.flatMap(({ connectedAtMs }) => connectedAtMs ?? [])),
		refused: counted(refusals.map(({ atMs }) => atMs)),
		connected: sumOf(({ counts }) => counts.connected),
		hearingHls: sumOf(({ counts }) => counts.hearingHls),
		waiting: sumOf(({ counts }) => counts.waiting),
		joinP50Ms: joins.map(({ p50 }) => p50),
		joinP99Ms: joins.map(({ p99 }) => p99),
		joinMaxMs: joins.map(({ max }) => max),
		stormGapMs: maxOf(storm, ({ largestGapMs }) => largestGapMs),
		incumbentGapMs: maxOf(incumbents, ({ largestGapMs }) => largestGapMs),
		generatorCpu: sumOf(({ cpuRatio }) => cpuRatio),
		generatorLagMs: maxOf(bySlot, ({ loopLagP99Ms }) => loopLagP99Ms),
		shards: [...new Set(shards.map(({ shard }) => shard))].map((shard) => {
			const own = grouped(shards.filter((sample) => sample.shard === shard));
			const role = shards.find((sample) => sample.shard === shard)?.role ?? '';
			return {
				name: `${role} shard ${shard}`,
				cpu: own.map((samples) => last(samples, ({ workerCpuRatio, nodeCpuRatio }) => workerCpuRatio + nodeCpuRatio)),
				listeners: own.map((samples) => last(samples, ({ listeners }) => listeners)),
			};
		}),
	};
}

/** Over all processes, each with the last it has said: a busy one says something late, or twice in a step. */
function sumsOf(groups: readonly (readonly Tick[])[], of: (tick: Tick) => number): (number | null)[] {
	const last = new Map<number, number>();
	return groups.map((group) => {
		for (const tick of group) {
			last.set(tick.source, of(tick));
		}
		return last.size === 0 ? null : round([...last.values()].reduce((sum, value) => sum + value, 0));
	});
}

const round = (value: number): number => Math.round(value * 100) / 100;

function last<T>(items: readonly T[], of: (item: T) => number): number | null {
	const item = items.at(-1);
	return item === undefined ? null : round(of(item));
}

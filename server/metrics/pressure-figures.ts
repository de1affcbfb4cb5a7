import type { Registry } from '@prometheus-io/client';
import type { ShardReport } from '../cluster/node-report.ts';
import type { PressureCount } from '../programme/node-pressure.ts';
import { addFigure, one } from './figure.ts';

/** What gives way on this node. */
export interface PressureSource {
	shards: () => readonly ShardReport[];
	cadence: () => number;
	counts: () => readonly PressureCount[];
}

export function addPressureFigures(registers: Registry[], { shards, cadence, counts }: PressureSource): void {
	const listenerShards = () => shards().filter(({ role }) => role === 'listener');
	addFigure(registers, {
		name: 'rostrum_shard_pressure_level', help: '0: none; 1 to 3: step of the packing floor; 4: nothing is left to pack, and the shard is pressed still', kind: 'gauge', labels: ['shard'],
		read: () => listenerShards().map(({ index, pressure }) => [{ shard: index }, pressure?.level ?? 0] as const),
	});
	addFigure(registers, {
		name: 'rostrum_shard_packing_floor_seconds', help: 'Audio that packets of rooms with packing auto carry at least on the shard', kind: 'gauge', labels: ['shard'],
		read: () => listenerShards().map(({ index, pressure }) => [{ shard: index }, (pressure?.packingFloorMs ?? 20) / 1_000] as const),
	});
	addFigure(registers, {
		name: 'rostrum_event_cadence_factor', help: 'How many times less often than usual counts and stages are told', kind: 'gauge',
		read: () => one(cadence()),
	});
	addFigure(registers, {
		name: 'rostrum_pressure_changes_total', help: 'Times that something gave way under pressure (up) or was taken back (down), by what and why', kind: 'counter', labels: ['what', 'direction', 'reason'],
		read: () => counts().map(({ what, direction, reason, count }) => [{ what, direction, reason }, count] as const),
	});
}

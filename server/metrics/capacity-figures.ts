import type { Registry } from '@prometheus-io/client';
import type { NodeCapacityNow } from '../capacity/capacity-schemas.ts';
import { addFigure, one } from './figure.ts';

/** This node's own capacity; of a fleet, the sum (the ratio: the mean) over its nodes. */
export type CapacitySource = () => Pick<NodeCapacityNow, 'headroom' | 'capacity'>;

export function addCapacityFigures(registers: Registry[], capacity: CapacitySource): void {
	addFigure(registers, {
		name: 'rostrum_headroom_ratio', help: 'Free part of what this node holds, 0 to 1; less where its processors work harder than the capacity rule expects', kind: 'gauge',
		read: () => one(capacity().headroom.ratio),
	});
	addFigure(registers, { name: 'rostrum_headroom_listeners', help: 'Listeners this node can still take', kind: 'gauge', read: () => one(capacity().headroom.listeners) });
	addFigure(registers, {
		name: 'rostrum_capacity_listeners', help: 'Listeners this node holds by the capacity rule, at the packing of large rooms', kind: 'gauge', read: () => one(capacity().capacity.listeners),
	});
}

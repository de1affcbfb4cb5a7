import type { NodeReport } from '../cluster/node-report.ts';
import type { Room } from '../rooms/room.ts';

/** Encoders that a node runs for nobody yet; each takes some hundredths of a core. */
const MAX_WARM = 16;

/** Places of the nodes that take listeners. */
export function placesOf(nodes: readonly NodeReport[]): { taken: number; all: number } {
	let taken = 0;
	let all = 0;
	for (const { draining, shards } of nodes) {
		for (const shard of shards) {
			if (!draining && shard.role === 'listener' && shard.alive && !shard.draining) {
				taken += shard.listeners + shard.joining;
				all += shard.maxListeners;
			}
		}
	}
	return { taken, all };
}

/**
 * Rooms whose streams are made ready before anybody asks for them: all that have listeners when places run out, and such as expect more
 * people than there are places. The largest first, for there the most will be turned away.
 * @param rooms open and live ones that live on this node
 */
export function warmRooms(rooms: readonly Room[], nodes: readonly NodeReport[], listenersIn: (roomId: string) => number, warmAtFill: number): string[] {
	const { taken, all } = placesOf(nodes);
	const filled = warmAtFill < 1 && taken >= warmAtFill * all;
	return rooms
		.map(({ id, expectedListeners = 0 }) => ({ id, listeners: listenersIn(id), expected: expectedListeners }))
		.filter(({ listeners, expected }) => expected > all || (filled && listeners > 0))
		.toSorted((a, b) => Math.max(b.listeners, b.expected) - Math.max(a.listeners, a.expected))
		.slice(0, MAX_WARM)
		.map(({ id }) => id);
}

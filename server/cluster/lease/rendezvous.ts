import { createHash } from 'node:crypto';

/**
 * Nodes in the order in which they are to take a room: the same on every node that sees the same nodes, and spread evenly
 * over rooms (highest random weight hashing).
 */
export function rendezvousOrder(roomId: string, nodeIds: Iterable<string>): string[] {
	const weighed = Array.from(nodeIds, (nodeId) => ({ nodeId, weight: createHash('sha256').update(`${roomId}\0${nodeId}`).digest('hex') }));
	weighed.sort((a, b) => (a.weight < b.weight ? 1 : -1));
	return weighed.map(({ nodeId }) => nodeId);
}

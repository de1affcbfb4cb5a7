import type { NodeReport } from '../../../server/cluster/node-report.ts';
import type { OwnReport } from '../../../server/cluster/registry/node-registry.ts';

/** What an idle node without shards says of itself. */
export function anOwnReport(nodeId: string, changes: Partial<OwnReport> = {}): OwnReport {
	return {
		startedAt: '2025-06-01T00:00:00.000Z',
		internalUrl: `http://${nodeId}.test:3100`,
		draining: false,
		shards: [],
		rooms: {},
		homes: {},
		moving: {},
		...changes,
	};
}

export function aReport(nodeId: string, beat: number, changes: Partial<NodeReport> = {}): NodeReport {
	return { ...anOwnReport(nodeId), nodeId, incarnation: `${nodeId}-first-run`, beat, redis: true, ...changes };
}

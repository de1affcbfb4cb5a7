import type { Logger } from 'pino';
import { ClusterLinks } from '../../server/cluster/links/cluster-links.ts';
import { DomainError } from '../../server/errors.ts';
import type { AutoPacking } from '../../server/placement/packing-policy.ts';
import type { PressureLadderOptions } from '../../server/placement/pressure-ladder.ts';
import { Programmes, type ProgrammesOptions } from '../../server/programme/programmes.ts';
import type { Supervisor } from '../../sfu/supervisor/supervisor.ts';

export interface AloneOptions {
	supervisor: Supervisor;
	maxListenersPerShard: number;
	autoPacking: AutoPacking;
	maxFanOut?: number;
	linkLingerMs?: number;
	admission?: ProgrammesOptions['admission'];
	pressure?: PressureLadderOptions;
	log: Logger;
}

/** Programmes of a node that has no others: every room lives here. */
export function programmesAlone({ maxFanOut = 32, linkLingerMs = 60_000, admission, ...options }: AloneOptions): Programmes {
	const nodeId = 'alone';
	const homes = { epochOf: () => 1 };
	const view = {
		nodeId,
		nodes: () => [],
		node: () => undefined,
		homeOf: () => ({ nodeId, epoch: 1 }),
		listenersIn: (roomId: string) => programmes.counts.get(roomId) ?? 0,
	};
	const peers = { request: () => Promise.reject(new DomainError('peer_unreachable', 'there is no other node')) };
	const programmes: Programmes = Programmes.create({
		...options,
		...(admission && { admission }),
		maxFanOut,
		linkLingerMs,
		view,
		homes,
		namesNode: false,
		broker: (rooms) => ClusterLinks.create({ view, homes, peers, rooms, log: options.log }),
	});
	return programmes;
}

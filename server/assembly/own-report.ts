import type { Config } from '../../config/schema.ts';
import type { DrainService } from '../cluster/drain/drain-service.ts';
import type { Membership } from '../cluster/membership.ts';
import type { HomeReport } from '../cluster/node-report.ts';
import type { OwnReport } from '../cluster/registry/node-registry.ts';
import type { HandOff } from '../placement/hand-off.ts';
import type { NodeCapacity } from '../preflight/node-capacity.ts';
import type { Programmes } from '../programme/programmes.ts';

export interface OwnReportParts {
	/** What every report begins with. */
	base: OwnReport;
	config: Pick<Config, 'http' | 'cluster'>;
	url: () => string;
	programmes: Programmes;
	drain: Pick<DrainService, 'draining' | 'moving'>;
	shutdown: { readonly begun: boolean };
	membership: Membership | undefined;
	versionsOf: (roomId: string) => HomeReport;
	handOff: HandOff | undefined;
	capacity: Pick<NodeCapacity, 'machine'>;
}

/** What this node's heartbeat says of it now. */
export function ownReport({ base, config, url, programmes, drain, shutdown, membership, versionsOf, handOff, capacity }: OwnReportParts): OwnReport {
	const { admission, eventCadence } = programmes;
	const { region } = config.cluster;
	return {
		...base,
		...(config.http.publicUrl === undefined ? {} : { publicUrl: url() }),
		...(region === undefined ? {} : { region }),
		draining: drain.draining || shutdown.begun,
		shards: programmes.shardReports(),
		...(eventCadence === 1 ? {} : { eventCadence }),
		joinsPerSecond: admission.joinsPerSecond,
		waiting: admission.waiting,
		rooms: Object.fromEntries(programmes.counts),
		// With those of which this node is not certain for the moment: they are renewed or lost within a beat.
		homes: Object.fromEntries(Object.entries(membership?.homes.epochs ?? {}).map(([roomId, epoch]) => [roomId, { ...versionsOf(roomId), epoch }])),
		moving: drain.moving,
		...(handOff === undefined ? {} : { takenFrom: handOff.takenFrom }),
		machine: capacity.machine,
		refusedPerSecond: admission.refusedPerSecond,
	};
}

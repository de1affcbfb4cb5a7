import type { Config } from '../../config/schema.ts';
import type { Supervisor } from '../../sfu/supervisor/supervisor.ts';
import type { Audience } from '../audience/audience.ts';
import type { ReportBook } from '../audience/report-book.ts';
import type { AuditLog } from '../audit/audit-log.ts';
import type { DrainService } from '../cluster/drain/drain-service.ts';
import type { Membership } from '../cluster/membership.ts';
import type { EventHub } from '../events/event-hub.ts';
import type { ClusterHttp } from '../http/cluster-http.ts';
import { Metrics } from '../metrics/metrics.ts';
import type { Overflow } from '../overflow/overflow.ts';
import type { NodeCapacity } from '../preflight/node-capacity.ts';
import type { Programmes } from '../programme/programmes.ts';
import type { Recordings } from '../recording/recordings.ts';
import type { RoomDirectory } from '../rooms/room-directory.ts';
import type { RoomState } from '../rooms/room.ts';
import type { Webhooks } from '../webhooks/webhooks.ts';

export interface NodeMetricsParts {
	config: Pick<Config, 'quality'>;
	supervisor: Supervisor;
	rooms: RoomDirectory;
	events: EventHub;
	programmes: Programmes;
	drain: DrainService;
	capacity: NodeCapacity;
	overflow: Overflow;
	webhooks: Webhooks;
	recordings: Recordings;
	audit: AuditLog;
	audience: Audience;
	reports: ReportBook;
	/** Undefined for a node that is alone. */
	membership: Membership | undefined;
	/** Asked of members alone. */
	forwards: () => ClusterHttp['forwards'];
}

/** What `/metrics` tells of this node's parts, asked for when it is read. */
export function nodeMetrics({ config, supervisor, rooms, events, programmes, drain, capacity, overflow, webhooks, recordings, audit, audience, reports, membership, forwards }: NodeMetricsParts): Metrics {
	return Metrics.create({
		shards: () => supervisor.shards().flatMap(({ assignment, stats }) => (assignment && stats ? [{ index: assignment.index, role: assignment.role, stats }] : [])),
		roomsByState: () => roomsByState(rooms),
		events: () => events.metrics(),
		links: { links: () => programmes.linkStats(), relinks: () => programmes.relinks },
		pressure: { shards: () => programmes.shardReports(), cadence: () => programmes.eventCadence, counts: () => programmes.pressureCounts },
		drain,
		capacity: () => capacity.ownNow(),
		admission: () => programmes.admission,
		overflow,
		services: { webhooks, recordings: () => recordings.figures(), audit, audience: () => audience.metrics(), reports: () => reports },
		quality: { config: config.quality, listeners: () => programmes.shardReports().reduce((sum, { listeners }) => sum + listeners, 0), now: Date.now },
		...(membership && { cluster: { view: membership.view, homes: membership.homes, redis: membership.redis, store: membership.store, forwards } }),
		processMetrics: true,
	});
}

function roomsByState(rooms: RoomDirectory): Record<RoomState, number> {
	const count = { scheduled: 0, open: 0, live: 0, ended: 0 };
	for (const { state } of rooms.list({ limit: Number.MAX_SAFE_INTEGER })) {
		count[state]++;
	}
	return count;
}

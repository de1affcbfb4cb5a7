import type { EventEmitter } from 'node:events';
import type { Registry } from '@prometheus-io/client';
import type { ClusterView } from '../cluster/cluster-view.ts';
import type { DrainService } from '../cluster/drain/drain-service.ts';
import type { Homes, HomesEvents } from '../cluster/homes.ts';
import { addFigure, one } from './figure.ts';

/** What a member of a cluster has to tell. */
export interface ClusterSources {
	view: Pick<ClusterView, 'nodes' | 'redisAnswers'>;
	homes: EventEmitter<HomesEvents> & Pick<Homes, 'rooms'>;
	/** Commands by the name of the script; `RedisConnection` has them. */
	redis: { readonly counts: ReadonlyMap<string, number> };
	store: { readonly unsaved: readonly string[] };
	/** Requests passed on to other nodes, and stage sockets that go through here at present. */
	forwards: () => { readonly answered: number; readonly unreachable: number; readonly sockets: number };
}

export type DrainSource = Pick<DrainService, 'progress' | 'moving' | 'askedTotal'>;

/** Nodes, homes and Redis. */
export function addClusterFigures(registers: Registry[], { view, homes, redis, store, forwards }: ClusterSources): void {
	const changes = { gained: 0, taken_over: 0, released: 0, fenced: 0, shutting_down: 0 };
	homes.on('gained', (_room, _epoch, takenOver) => changes[takenOver ? 'taken_over' : 'gained']++);
	homes.on('lost', (_room, _epoch, reason) => changes[reason === 'shutting down' ? 'shutting_down' : reason]++);
	addFigure(registers, { name: 'rostrum_cluster_nodes', help: 'Nodes that live as far as this one can tell, itself included', kind: 'gauge', read: () => one(view.nodes().length) });
	addFigure(registers, { name: 'rostrum_homes', help: 'Rooms whose home is this node', kind: 'gauge', read: () => one(homes.rooms.length) });
	addFigure(registers, {
		name: 'rostrum_home_changes_total', kind: 'counter', labels: ['reason'],
		help: 'Rooms this node became the home of (gained, taken_over from another) and is not any more (released, fenced, shutting_down)',
		read: () => Object.entries(changes).map(([reason, count]) => [{ reason }, count]),
	});
	addFigure(registers, { name: 'rostrum_redis_up', help: 'Whether Redis answered the last heartbeat', kind: 'gauge', read: () => one(view.redisAnswers ? 1 : 0) });
	addFigure(registers, {
		name: 'rostrum_redis_commands_total', help: 'Commands sent to Redis, by script or command', kind: 'counter', labels: ['command'],
		read: () => Array.from(redis.counts, ([command, count]) => [{ command }, count]),
	});
	addFigure(registers, { name: 'rostrum_rooms_unsaved', help: 'Rooms with changes that are kept here until Redis answers again', kind: 'gauge', read: () => one(store.unsaved.length) });
	addFigure(registers, {
		name: 'rostrum_forwarded_requests_total', help: 'Requests that another node was to answer, by whether it did', kind: 'counter', labels: ['outcome'],
		read: () => {
			const { answered, unreachable } = forwards();
			return [[{ outcome: 'answered' }, answered], [{ outcome: 'unreachable' }, unreachable]];
		},
	});
	addFigure(registers, { name: 'rostrum_relayed_stage_sockets', help: 'Stage sockets whose other end is on another node', kind: 'gauge', read: () => one(forwards().sockets) });
}

/** A node that is alone can be drained too. */
export function addDrainFigures(registers: Registry[], drain: DrainSource): void {
	addFigure(registers, {
		name: 'rostrum_drain_state', help: '1 for the state this node is in', kind: 'gauge', labels: ['state'],
		read: () => {
			const now = drain.progress().state;
			return (['active', 'draining', 'drained'] as const).map((state) => [{ state }, state === now ? 1 : 0]);
		},
	});
	addFigure(registers, {
		name: 'rostrum_drain_moving_ratio', help: 'Part of the listeners that is asked to move, of the shard that asks the most; also when only a shard drains or a rebalance is under way',
		kind: 'gauge', read: () => one(Math.max(0, ...Object.values(drain.moving))),
	});
	addFigure(registers, {
		name: 'rostrum_listeners_asked_to_move_total', help: 'Listeners asked to go elsewhere, by drains and rebalances', kind: 'counter', read: () => one(drain.askedTotal),
	});
}

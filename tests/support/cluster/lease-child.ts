// One node's registry and leases as a process of its own, over a real Redis, so that tests can stop and kill it. Says over
// IPC what happens; `{release: room}`, `{ask: room}` and `{close: true}` are what it can be told.
import { randomUUID } from 'node:crypto';
import { HomeLeases } from '../../../server/cluster/lease/home-leases.ts';
import { RedisLeaseStore } from '../../../server/cluster/lease/redis-lease-store.ts';
import { NodeRegistry } from '../../../server/cluster/registry/node-registry.ts';
import { RedisHeartbeatStore } from '../../../server/cluster/registry/redis-heartbeat-store.ts';
import { DomainError } from '../../../server/errors.ts';
import { monotonicClock } from '../../../server/events/clock.ts';
import { openConnection, silent } from '../redis/connections.ts';
import type { LeaseChildEvent, LeaseChildOrder } from './lease-process.ts';
import { anOwnReport } from './reports.ts';

const [nodeId = '', redisUrl = '', ...rooms] = process.argv.slice(2);
const tell = (event: LeaseChildEvent): void => void process.send?.(event);

const redis = await openConnection(redisUrl);
const peers = { request: () => Promise.reject(new DomainError('peer_unreachable', 'There is no network between these nodes.')) };
const registry = NodeRegistry.create({
	nodeId,
	incarnation: randomUUID(),
	report: () => anOwnReport(nodeId, { homes: Object.fromEntries(Object.entries(leases?.epochs ?? {}).map(([room, epoch]) => [room, { epoch, roomVersion: 3, stageVersion: 0 }])) }),
	store: new RedisHeartbeatStore(redis, randomUUID),
	peers,
	clock: monotonicClock,
	log: silent,
});
var leases = HomeLeases.create({
	registry,
	store: new RedisLeaseStore(redis),
	peers,
	clock: monotonicClock,
	rooms: () => rooms,
	needsHome: () => true,
	behind: (room) => tell({ name: 'behind', room }),
	log: silent,
});
leases.on('gained', (room, epoch) => tell({ name: 'gained', room, epoch }));
leases.on('lost', (room, epoch, reason) => tell({ name: 'lost', room, epoch, reason }));
registry.on('nodeUp', ({ nodeId: node }) => tell({ name: 'nodeUp', node }));
registry.on('nodeDown', (node, reason) => tell({ name: 'nodeDown', node, reason }));
registry.on('redis', (state) => tell({ name: 'redis', state }));
process.on('message', (order: LeaseChildOrder) => {
	if (order.ask !== undefined) {
		// Whatever runs first after a stop asks just this.
		tell({ name: 'answer', room: order.ask, epoch: leases.epochOf(order.ask), home: registry.homeOf(order.ask)?.nodeId });
	}
	if (order.release !== undefined) void leases.release(order.release);
	if (order.close) void close();
});
await registry.start();
tell({ name: 'started' });
// Keeps the process alive: timers of the clock do not.
const alive = setInterval(() => undefined, 60_000);

async function close(): Promise<void> {
	await leases.close();
	await registry.close();
	await redis.close();
	clearInterval(alive);
	process.disconnect();
}

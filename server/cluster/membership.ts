import { randomBytes, randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import type { ClusterKeys } from '../../auth/cluster-keys.ts';
import { ClusterTokens } from '../../auth/cluster-token.ts';
import { HandOffTickets } from '../../auth/hand-off-ticket.ts';
import type { KeyRing } from '../../auth/key-ring.ts';
import { QueuePlaces } from '../../auth/queue-place.ts';
import { monotonicClock } from '../events/clock.ts';
import { ClusterRoomStore } from '../rooms/store/cluster-store.ts';
import type { DiskRoomStore } from '../rooms/store/disk-store.ts';
import { HomeLeases } from './lease/home-leases.ts';
import type { StoredVersions } from './lease/lease-store.ts';
import { RedisLeaseStore } from './lease/redis-lease-store.ts';
import { PeerClient } from './peers/peer-client.ts';
import type { RedisConnection } from './redis/redis-connection.ts';
import { NodeRegistry, type OwnReport } from './registry/node-registry.ts';
import { RedisHeartbeatStore } from './registry/redis-heartbeat-store.ts';
import { RedisSharedKeyStore } from './shared-keys/redis-shared-key-store.ts';
import { SharedKeys } from './shared-keys/shared-keys.ts';

/** What the node knows of itself once all its parts are there; asked only after `start()`. */
export interface OwnFacts {
	report: () => OwnReport;
	/** Rooms known to this node. */
	rooms: () => Iterable<string>;
	/** Whether a room must not wait for a home until somebody asks. */
	needsHome: (roomId: string) => boolean;
	/** Redis has older versions of a room that lives here. */
	behind: (roomId: string, stored: StoredVersions) => void;
}

export interface MembershipOptions {
	nodeId: string;
	/** This node's copy of all rooms; closed with the membership. */
	replica: DiskRoomStore;
	keyRing: KeyRing;
	/** Closed with the membership. */
	redis: RedisConnection;
	keys: ClusterKeys;
	/** Made with the membership, complete before `start()`. */
	facts: OwnFacts;
	log: Logger;
}

/**
 * A node's membership in a cluster: the connection to Redis and everything that stands on it. Silent until `start()`,
 * so that the rest of the node can be put together with it first.
 */
export class Membership {
	readonly nodeId: string;
	readonly view: NodeRegistry;
	readonly homes: HomeLeases;
	readonly peers: PeerClient;
	readonly store: ClusterRoomStore;
	readonly tokens: ClusterTokens;
	readonly tickets: HandOffTickets;
	readonly places: QueuePlaces;
	readonly redis: RedisConnection;
	/** Of the cluster's secret. */
	readonly secretKeys: ClusterKeys;
	readonly #sharedKeys: SharedKeys;
	#closing: Promise<void> | undefined;

	/** Redis may be away: the node begins with what its copy has. */
	static async open({ nodeId, replica, keyRing, redis, keys, facts, log }: MembershipOptions): Promise<Membership> {
		const tokens = new ClusterTokens({ keys, nodeId, now: Date.now });
		const view = NodeRegistry.create({
			nodeId,
			incarnation: randomBytes(12).toString('hex'),
			report: facts.report,
			store: new RedisHeartbeatStore(redis, randomUUID),
			peers: { request: (...request) => peers.request(...request) },
			clock: monotonicClock,
			log,
		});
		const peers = new PeerClient({ view, tokens });
		const homes = HomeLeases.create({
			registry: view,
			store: new RedisLeaseStore(redis),
			peers,
			clock: monotonicClock,
			rooms: facts.rooms,
			needsHome: facts.needsHome,
			behind: facts.behind,
			log,
		});
		const store = await ClusterRoomStore.open({
			connection: redis,
			replica,
			nodeId,
			epochOf: (roomId) => homes.epochOf(roomId),
			newId: randomUUID,
			now: Date.now,
			log: log.child({ part: 'store' }),
		});
		const sharedKeys = await SharedKeys.create({
			keyRing,
			store: new RedisSharedKeyStore(redis),
			secretKeys: keys,
			schedule: (ms, task) => monotonicClock.schedule(task, ms),
			log: log.child({ part: 'keys' }),
		});
		const tickets = new HandOffTickets({ keys, nodeId, now: Date.now, newId: randomUUID });
		const places = new QueuePlaces({ key: keys.queuePlace, now: Date.now });
		return new Membership({ nodeId, view, homes, peers, store, tokens, tickets, places, redis, secretKeys: keys, sharedKeys });
	}

	private constructor(parts: {
		nodeId: string; view: NodeRegistry; homes: HomeLeases; peers: PeerClient; store: ClusterRoomStore;
		tokens: ClusterTokens; tickets: HandOffTickets; places: QueuePlaces; redis: RedisConnection; secretKeys: ClusterKeys; sharedKeys: SharedKeys;
	}) {
		this.nodeId = parts.nodeId;
		this.view = parts.view;
		this.homes = parts.homes;
		this.peers = parts.peers;
		this.store = parts.store;
		this.tokens = parts.tokens;
		this.tickets = parts.tickets;
		this.places = parts.places;
		this.redis = parts.redis;
		this.secretKeys = parts.secretKeys;
		this.#sharedKeys = parts.sharedKeys;
	}

	/** Heartbeats from now on: others see this node, and it sees them. */
	start(): Promise<void> {
		return this.view.start();
	}

	/** Gives up every room and says goodbye, so that others need not wait; then lets go of Redis. Idempotent. */
	close(): Promise<void> {
		return (this.#closing ??= this.#close());
	}

	async #close(): Promise<void> {
		await this.homes.close();
		await this.view.close();
		await this.#sharedKeys.close();
		await this.store.close();
		this.peers.close();
		await this.redis.close();
	}
}

import { EventEmitter } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pino } from 'pino';
import { type ClusterKeys, deriveClusterKeys } from '../../../auth/cluster-keys.ts';
import { ClusterTokens } from '../../../auth/cluster-token.ts';
import { HandOffTickets } from '../../../auth/hand-off-ticket.ts';
import { KeyRing } from '../../../auth/key-ring.ts';
import type { ClusterView, ClusterViewEvents, RoomHome } from '../../../server/cluster/cluster-view.ts';
import type { NodeReport } from '../../../server/cluster/node-report.ts';
import { PEER_REQUESTS, type PeerHandlers } from '../../../server/cluster/peer-protocol.ts';
import { PeerClient } from '../../../server/cluster/peers/peer-client.ts';
import { PeerServer } from '../../../server/cluster/peers/peer-server.ts';
import type { SocketRelayLimits } from '../../../server/cluster/peers/socket-relay.ts';
import { DomainError } from '../../../server/errors.ts';
import { ClusterHttp } from '../../../server/http/cluster-http.ts';
import type { Seat } from '../../../server/http/deps.ts';
import { createTestApp, type TestApp, type TestAppOptions } from '../fakes/test-app.ts';

export const CLUSTER_SECRET = 'a-cluster-secret-of-more-than-32-characters';

/** What a node knows of the others: whatever a test says. */
export class FakeView extends EventEmitter<ClusterViewEvents> implements ClusterView {
	readonly nodeId: string;
	readonly redisAnswers = true;
	readonly #reports: Map<string, NodeReport>;

	constructor(nodeId: string, reports: Map<string, NodeReport>) {
		super();
		this.nodeId = nodeId;
		this.#reports = reports;
	}

	nodes(): readonly NodeReport[] {
		return [...this.#reports.values()].toSorted((a) => (a.nodeId === this.nodeId ? -1 : 1));
	}

	node(nodeId: string): NodeReport | undefined {
		return this.#reports.get(nodeId);
	}

	homeOf(): undefined {
		return undefined;
	}

	listenersIn(): number {
		return 0;
	}
}

export function nodeReport(nodeId: string, internalUrl: string, publicUrl?: string): NodeReport {
	return {
		nodeId, incarnation: `${nodeId}-incarnation`, beat: 1, startedAt: '2026-05-24T20:00:00.000Z', internalUrl, ...(publicUrl === undefined ? {} : { publicUrl }),
		draining: false, shards: [], rooms: {}, homes: {}, moving: {}, redis: true,
	};
}

/** Handlers that refuse everything but what a test gives. */
export function peerHandlers(given: Partial<PeerHandlers> = {}): PeerHandlers {
	const refuse = async (): Promise<never> => {
		throw new DomainError('not_found', 'not in this test');
	};
	// One for each name of the table, which is what the type asks for.
	return { ...(Object.fromEntries(Object.keys(PEER_REQUESTS).map((name) => [name, refuse])) as unknown as PeerHandlers), ...given };
}

export interface HttpNode extends TestApp {
	id: string;
	view: FakeView;
	peers: PeerClient;
	server: PeerServer;
	cluster: ClusterHttp;
	tickets: HandOffTickets;
	/** Of the public port, e.g. `http://127.0.0.1:12345`. */
	origin: string;
	internalUrl: string;
	/** Where the next listeners are sent. */
	seat: Seat;
	/** What the placement was told: `took b`, `refused b`. */
	told: string[];
	/** Who this node believes is home of each room; `unknown` says that it cannot be told. */
	homes: Map<string, string>;
	/** How often a room's home was asked for. */
	asked: string[];
}

export interface HttpNodesOptions {
	/** Whether each has an address of its own for people; otherwise all have the same. */
	ownUrls?: boolean;
	relayLimits?: Partial<SocketRelayLimits>;
	stageSocket?: (node: { id: string; cluster: ClusterHttp; keyRing: KeyRing }) => NonNullable<Parameters<typeof createTestApp>[0]>['stageSocket'];
	handlers?: (id: string) => Partial<PeerHandlers>;
	admissionOf?: (id: string) => TestAppOptions['admission'];
	limitsOf?: (id: string) => TestAppOptions['limits'];
}

export interface HttpNodes {
	nodes: Record<string, HttpNode>;
	keys: ClusterKeys;
	/** Takes a node for dead, everywhere. */
	die(id: string): void;
	close(): Promise<void>;
}

/** Several whole HTTP sides on loopback, each with a public and an internal port, over fakes of media and stage. */
export async function startHttpNodes(ids: readonly string[], options: HttpNodesOptions = {}): Promise<HttpNodes> {
	const dir = await mkdtemp(path.join(tmpdir(), 'rostrum-nodes-'));
	const keyRing = await KeyRing.open({ dir: path.join(dir, 'keys'), now: Date.now, algorithm: 'EdDSA' });
	const keys = deriveClusterKeys(CLUSTER_SECRET);
	const reports = new Map<string, NodeReport>();
	const nodes: Record<string, HttpNode> = {};
	for (const id of ids) {
		const view = new FakeView(id, reports);
		const now = Date.now;
		const tokens = new ClusterTokens({ keys, nodeId: id, now });
		let tickets = 0;
		const state = { seat: 'here' as Seat, homes: new Map<string, string>(), asked: [] as string[], told: [] as string[] };
		const homes = {
			async ensure(roomId: string): Promise<RoomHome> {
				state.asked.push(roomId);
				const nodeId = state.homes.get(roomId) ?? id;
				if (nodeId === 'unknown') throw new DomainError('home_unavailable', 'Nobody can tell where this room lives');
				return { nodeId, epoch: 1 };
			},
		};
		const peers = new PeerClient({ view, tokens });
		const handOff = new HandOffTickets({ keys, nodeId: id, now, newId: () => `${id}-ticket-${++tickets}` });
		const cluster = new ClusterHttp({
			view, homes, tickets: handOff, connections: peers.connections, tokens, log: pino({ level: 'silent' }), forwardTimeoutMs: 2_000,
			schedule: (ms, task) => {
				const timer = setTimeout(task, ms);
				return () => clearTimeout(timer);
			},
			...(options.relayLimits ? { relayLimits: options.relayLimits } : {}),
		});
		const origin = { url: '' };
		const stageSocket = options.stageSocket?.({ id, cluster, keyRing });
		const test = await createTestApp({
			node: { id, cluster, keyRing, handOff: { decide: () => state.seat, took: (from) => state.told.push(`took ${from}`), refused: (to) => state.told.push(`refused ${to}`) } },
			...(options.ownUrls === true ? { publicUrl: () => origin.url } : {}),
			...(stageSocket ? { stageSocket } : {}),
			...defined('admission', options.admissionOf?.(id)),
			...defined('limits', options.limitsOf?.(id)),
			logLevel: 'debug',
		});
		origin.url = await test.app.listen({ host: '127.0.0.1', port: 0 });
		const server = await PeerServer.listen({
			host: '127.0.0.1', port: 0, tokens, app: test.app, log: pino({ level: 'silent' }),
			handlers: peerHandlers({ ping: async () => ({ nodeId: id, incarnation: `${id}-incarnation`, homes: {} }), ...options.handlers?.(id) }),
		});
		const internalUrl = `http://127.0.0.1:${server.port}`;
		reports.set(id, nodeReport(id, internalUrl, options.ownUrls === true ? origin.url : undefined));
		nodes[id] = Object.assign(test, { id, view, peers, server, cluster, tickets: handOff, origin: origin.url, internalUrl }, state);
		// `seat` is the test's to change; the decision reads it through the node.
		Object.defineProperty(nodes[id], 'seat', {
			get: () => state.seat,
			set: (seat: Seat) => {
				state.seat = seat;
			},
		});
	}
	return {
		nodes,
		keys,
		die(id) {
			reports.delete(id);
			for (const { view } of Object.values(nodes)) view.emit('nodeDown', id, 'a test says so');
		},
		async close() {
			for (const node of Object.values(nodes)) {
				node.cluster.sockets.close('{}');
				await node.close();
				await node.server.close();
				node.peers.close();
			}
			await rm(dir, { recursive: true, force: true });
		},
	};
}

const defined = <Name extends string, T>(name: Name, value: T | undefined) => (value === undefined ? {} : ({ [name]: value } as Record<Name, T>));

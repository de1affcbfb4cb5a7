import { EventEmitter } from 'node:events';
import { DomainError } from '../errors.ts';
import type { ClusterView, ClusterViewEvents, RoomHome } from './cluster-view.ts';
import type { Homes, HomesEvents } from './homes.ts';
import type { NodeReport } from './node-report.ts';
import type { Peers } from './peer-protocol.ts';
import type { OwnReport } from './registry/node-registry.ts';

export interface LoneNodeOptions {
	nodeId: string;
	report: () => OwnReport;
	/** Every room there is. */
	rooms: () => Iterable<string>;
	/** Of a room, at this moment. */
	listenersIn: (roomId: string) => number;
}

const EPOCH = 1;

/** A node without Redis: a cluster of one, where every room lives. Nothing here waits, nothing changes, and no timer runs. */
export class LoneNode {
	readonly view: ClusterView;
	readonly homes: Homes;
	readonly peers: Peers;

	constructor(options: LoneNodeOptions) {
		this.view = new LoneView(options);
		this.homes = new LoneHomes(options);
		this.peers = {
			request: async (nodeId) => {
				throw new DomainError('peer_unreachable', `There is no node ${nodeId} here: this one is alone.`);
			},
		};
	}

	/** Tells those who look at reports that there is a new one to look at. */
	beat(): void {
		this.view.emit('beat');
	}
}

class LoneView extends EventEmitter<ClusterViewEvents> implements ClusterView {
	readonly nodeId: string;
	readonly redisAnswers = true;
	readonly #options: LoneNodeOptions;

	constructor(options: LoneNodeOptions) {
		super();
		this.nodeId = options.nodeId;
		this.#options = options;
	}

	nodes(): readonly NodeReport[] {
		return [{ ...this.#options.report(), nodeId: this.nodeId, incarnation: 'the only one', beat: 0, redis: true }];
	}
	node(nodeId: string): NodeReport | undefined {
		return nodeId === this.nodeId ? this.nodes()[0] : undefined;
	}
	homeOf(): RoomHome {
		return { nodeId: this.nodeId, epoch: EPOCH };
	}
	listenersIn(roomId: string): number {
		return this.#options.listenersIn(roomId);
	}
}

/** Rooms neither come nor go: no event is ever told. */
class LoneHomes extends EventEmitter<HomesEvents> implements Homes {
	readonly #options: LoneNodeOptions;

	constructor(options: LoneNodeOptions) {
		super();
		this.#options = options;
	}

	epochOf(): number {
		return EPOCH;
	}
	get rooms(): readonly string[] {
		return [...this.#options.rooms()];
	}
	async ensure(): Promise<RoomHome> {
		return { nodeId: this.#options.nodeId, epoch: EPOCH };
	}
	async release(): Promise<void> {}
}

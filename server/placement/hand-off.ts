import type { ClusterView } from '../cluster/cluster-view.ts';
import type { ShardReport } from '../cluster/node-report.ts';
import { FleetLoads } from './fleet-loads.ts';
import { type FleetState, type NodePassedOver, nodesPassedOver, placeInFleet } from './place-in-fleet.ts';

export interface HandOffOptions {
	view: Pick<ClusterView, 'nodeId' | 'nodes' | 'on' | 'off'>;
	/** This node's shards, as fresh as they are known. Asked for only when there are other nodes. */
	ownShards: () => readonly ShardReport[];
	/** 0 to 1. */
	random: () => number;
	/** Milliseconds, never going back. */
	nowMs: () => number;
	/** While the fleet has few listeners, so many more than on the emptiest node are kept here (default 20). */
	keepListeners?: number;
}

/** Where a listener is to go instead. */
export interface HandOffTarget {
	readonly nodeId: string;
	/** Where people reach that node; absent when it has no address of its own: then the POST is forwarded within the cluster. */
	readonly publicUrl?: string;
	/** This node drains or is full, or others are clearly emptier. */
	readonly why: 'draining' | 'full' | 'fuller';
	/** Worked out when it is read: for the log. */
	readonly passedOver: readonly { node: string; why: NodePassedOver }[];
}

const KEEP_LISTENERS = 20;

/** Decides for each listener who comes to this node whether it serves them. From memory: nothing is waited for. */
export class HandOff {
	readonly #options: HandOffOptions;
	readonly #fleet: FleetLoads;
	readonly #takenFrom = new Map<string, number>();
	readonly #onBeat = (): void => {
		const nodes = this.#options.view.nodes();
		this.#fleet.update(nodes);
		for (const nodeId of this.#takenFrom.keys()) {
			if (!nodes.some((report) => report.nodeId === nodeId)) {
				this.#takenFrom.delete(nodeId);
			}
		}
	};

	constructor(options: HandOffOptions) {
		const { view, nowMs } = options;
		this.#options = options;
		this.#fleet = new FleetLoads({ nodeId: view.nodeId, nowMs });
		this.#onBeat();
		view.on('beat', this.#onBeat).on('nodeUp', this.#onBeat).on('nodeDown', this.#onBeat);
	}

	/**
	 * Where a listener who came here first is served. Who was handed to this node is not asked about again; see `took`.
	 *
	 * @returns `here` also when no node has room: this one's refusal says so
	 */
	decide({ id: roomId }: { id: string }): 'here' | HandOffTarget {
		if (!this.#fleet.hasOthers) {
			return 'here';
		}
		const { view, ownShards, random, keepListeners = KEEP_LISTENERS } = this.#options;
		const own = view.nodes()[0];
		if (!own) {
			return 'here';
		}
		const self = FleetLoads.own(own, ownShards(), (own.rooms[roomId] ?? 0) > 0 || own.homes[roomId] !== undefined);
		const fleet: FleetState = { self, others: this.#fleet.loads(roomId), random, keepListeners, elsewhere: this.#fleet.elsewhere, unseen: this.#fleet.unseen };
		const choice = placeInFleet(fleet);
		if (typeof choice === 'string') {
			this.#fleet.placed(undefined);
			return 'here';
		}
		this.#fleet.placed(choice.nodeId);
		const publicUrl = this.#publicUrlOf(choice.nodeId, own.publicUrl);
		return new Target(choice.nodeId, publicUrl, self.draining ? 'draining' : self.taken >= self.capacity ? 'full' : 'fuller', fleet);
	}

	/** The node had no room for somebody who was sent there, or could not be reached. */
	refused(nodeId: string): void {
		this.#fleet.refused(nodeId);
	}

	/** A listener came whom another node handed to this one. To be told in the same turn as the join is counted. */
	took(fromNodeId: string): void {
		this.#takenFrom.set(fromNodeId, (this.#takenFrom.get(fromNodeId) ?? 0) + 1);
	}

	/** For this node's heartbeat: how many joins each node has handed here that arrived. */
	get takenFrom(): Record<string, number> {
		return Object.fromEntries(this.#takenFrom);
	}

	close(): void {
		this.#options.view.off('beat', this.#onBeat).off('nodeUp', this.#onBeat).off('nodeDown', this.#onBeat);
	}

	/** Several nodes behind one address cannot be told apart by it. */
	#publicUrlOf(nodeId: string, ownUrl: string | undefined): string | undefined {
		const nodes = this.#options.view.nodes();
		const url = nodes.find((report) => report.nodeId === nodeId)?.publicUrl;
		return url === undefined || url === ownUrl || nodes.some((report) => report.nodeId !== nodeId && report.publicUrl === url) ? undefined : url;
	}
}

class Target implements HandOffTarget {
	readonly nodeId: string;
	declare readonly publicUrl?: string;
	readonly why: HandOffTarget['why'];
	readonly #fleet: FleetState;

	constructor(nodeId: string, publicUrl: string | undefined, why: HandOffTarget['why'], fleet: FleetState) {
		this.nodeId = nodeId;
		if (publicUrl !== undefined) {
			this.publicUrl = publicUrl;
		}
		this.why = why;
		this.#fleet = fleet;
	}

	get passedOver(): HandOffTarget['passedOver'] {
		return nodesPassedOver(this.#fleet, { nodeId: this.nodeId });
	}
}

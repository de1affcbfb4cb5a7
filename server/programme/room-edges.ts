import type { Logger } from 'pino';
import type { LinkedVoice, LinkEndpoint, PackingMs } from '../../sfu/contract/media-types.ts';
import type { Shard } from '../../sfu/supervisor/shard.ts';
import type { UpstreamRef } from '../cluster/peer-protocol.ts';
import { DomainError } from '../errors.ts';
import { EdgeUpstream, type RelinkCounts } from './edge-upstream.ts';
import type { LinkBroker } from './link-broker.ts';

export interface RoomEdgesOptions {
	roomId: string;
	voices: number;
	packingMs: PackingMs;
	broker: LinkBroker;
	/** Counted up here, for all rooms together. */
	relinks: RelinkCounts;
	/** Told when an edge is no more, with every link that began at it. */
	onClosed: (shard: number) => void;
	log: Logger;
}

interface Edge {
	readonly shard: Shard;
	readonly opened: Promise<void>;
	readonly upstream: EdgeUpstream;
	/** Ids of links that begin here. */
	readonly children: Set<string>;
	/** As the shard was told last. */
	packingMs: PackingMs;
	/** Since when nobody has listened and nobody hung on it; undefined while somebody does. */
	idleSinceMs: number | undefined;
}

/** How an edge gets the programme, for the operator. */
export interface EdgeDescription {
	shard: number;
	linkId: string | undefined;
	upstream: UpstreamRef | undefined;
	children: number;
}

const NO_FLOORS: ReadonlyMap<number, PackingMs> = new Map();

/**
 * A room's edges on this node's listener shards, each with a link to an upstream: the origin or a relay, here or on
 * another node. While a new link is made the listeners stay where they are.
 */
export class RoomEdges {
	readonly #options: RoomEdgesOptions;
	readonly #roomId: string;
	readonly #broker: LinkBroker;
	readonly #log: Logger;
	readonly #edges = new Map<number, Edge>();
	/** Shards whose edges stay although nobody uses them; see `keep`. */
	readonly #kept = new Set<number>();
	#packingMs: PackingMs;
	/** Shard → what packets carry there at least. */
	#floors: ReadonlyMap<number, PackingMs> = NO_FLOORS;
	#closed = false;

	constructor(options: RoomEdgesOptions) {
		this.#options = options;
		this.#roomId = options.roomId;
		this.#broker = options.broker;
		this.#packingMs = options.packingMs;
		this.#log = options.log;
	}

	/** The room's own; a shard under pressure may pack more. */
	get packingMs(): PackingMs {
		return this.#packingMs;
	}
	/** Where listeners of this room can be at the moment, by shard index. */
	get shards(): readonly number[] {
		return [...this.#edges.keys()];
	}

	describe(): EdgeDescription[] {
		return [...this.#edges].map(([shard, { upstream, children }]) => ({ shard, linkId: upstream.linkId, upstream: upstream.ref, children: children.size }));
	}

	/** Links in use, for their renewal. `settled`: no other one is on its way to take its place. */
	*links(): Iterable<{ linkId: string; shard: number; upstream: UpstreamRef; settled: boolean }> {
		for (const [shard, { upstream }] of this.#edges) {
			const { linkId, ref, isSettled } = upstream;
			if (linkId !== undefined && ref) {
				yield { linkId, shard, upstream: ref, settled: isSettled };
			}
		}
	}

	/**
	 * The room's edge on this listener shard, opened and linked if need be. Single-flight for each shard.
	 * @param expectedListeners of the room, when it is opened ahead of them
	 */
	open(shard: Shard, index: number, expectedListeners?: number): Promise<void> {
		const known = this.#edges.get(index);
		if (known?.shard === shard) {
			known.idleSinceMs = undefined;
			return known.opened;
		}
		const { voices, relinks } = this.#options;
		const packingMs = this.#packingFor(index);
		const isWanted = () => this.#edges.get(index) === edge && !this.#closed;
		const edge: Edge = {
			shard,
			packingMs,
			upstream: new EdgeUpstream({ roomId: this.#roomId, shard, index, broker: this.#broker, relinks, isWanted, log: this.#log }),
			children: new Set(),
			idleSinceMs: undefined,
			// Joining does not wait for the link: the edge has voices of its own, and sound follows.
			opened: shard.request('edge.open', { roomId: this.#roomId, voices, packingMs, ...(expectedListeners === undefined ? {} : { expectedListeners }) }).then(() => edge.upstream.begin()),
		};
		this.#edges.set(index, edge);
		edge.opened.catch(() => this.#forget(index, edge));
		return edge.opened;
	}

	setPackingMs(packingMs: PackingMs): void {
		if (packingMs === this.#packingMs) {
			return;
		}
		this.#log.info({ packingMs }, 'packing changed');
		this.#packingMs = packingMs;
		this.#applyPacking();
	}

	/** What packets carry at least, by shard: for as long as it stands here. */
	setPackingFloors(floors: ReadonlyMap<number, PackingMs> = NO_FLOORS): void {
		this.#floors = floors;
		this.#applyPacking();
	}

	#packingFor(index: number): PackingMs {
		return Math.max(this.#packingMs, this.#floors.get(index) ?? 0) as PackingMs;
	}

	#applyPacking(): void {
		for (const [index, edge] of this.#edges) {
			const packingMs = this.#packingFor(index);
			if (edge.packingMs === packingMs) {
				continue;
			}
			edge.packingMs = packingMs;
			const { shard, opened } = edge;
			opened
				.then(() => {
					if (!this.#closed && packingMs === edge.packingMs) {
						this.#tell(shard, () => shard.request('edge.setPacking', { roomId: this.#roomId, packingMs }));
					}
				})
				.catch(() => undefined);
		}
	}

	/** What these edges were linked to has gone or moved; those without a link try now, too. What had failed them before counts no more. */
	relink(shards: readonly number[]): void {
		for (const [index, { upstream }] of this.#edges) {
			if (shards.includes(index)) {
				upstream.relink();
			} else {
				upstream.retryNow();
			}
		}
	}

	/** The room has another home. Who hangs on a relay hears its programme over that, and stays there. */
	rehome(): void {
		for (const { upstream } of this.#edges.values()) {
			upstream.rehome();
		}
	}

	/** A shard died. Whether it carried an edge. */
	shardDown(index: number): boolean {
		const dead = this.#edges.get(index);
		if (!dead) {
			return false;
		}
		this.#drop(index, dead);
		return true;
	}

	/** A link brings nothing: make another one, elsewhere if that is possible. Whether that is news. */
	linkStalled(index: number, linkId: string): boolean {
		return this.#edges.get(index)?.upstream.stalled(linkId) ?? false;
	}

	/** A node is gone: edges that were linked to it, or about to be, do not wait until that shows. */
	upstreamDown(nodeId: string): void {
		for (const { upstream } of this.#edges.values()) {
			upstream.nodeDown(nodeId);
		}
	}

	/** An upstream's node does not know this link any more. */
	linkUnknown(linkId: string): void {
		for (const { upstream } of this.#edges.values()) {
			upstream.unknown(linkId);
		}
	}

	/** The sending half of a link that begins at one of these edges; `closeDownstream` takes it back, also after a failure. Rejects with DomainError `upstream_unavailable`, or as the shard does. */
	async createDownstream(index: number, linkId: string, remote: LinkEndpoint): Promise<LinkEndpoint & { voices: LinkedVoice[] }> {
		const edge = this.#edges.get(index);
		if (!edge || edge.shard.isGone) {
			throw new DomainError('upstream_unavailable', 'This room has no edge on that shard (any more).');
		}
		edge.children.add(linkId);
		edge.idleSinceMs = undefined;
		await edge.opened;
		if (!edge.children.has(linkId)) {
			throw new DomainError('upstream_unavailable', 'The link was closed before it was made.');
		}
		return edge.shard.request('downstream.create', { roomId: this.#roomId, linkId, remote });
	}

	closeDownstream(index: number, linkId: string): void {
		const edge = this.#edges.get(index);
		if (edge?.children.delete(linkId)) {
			this.#tell(edge.shard, (shard) => shard.request('downstream.close', { roomId: this.#roomId, linkId }));
		}
	}

	/** The edge on this shard, there or to come, stays although nobody uses it: it is for people who are about to come. */
	keep(shard: number): void {
		this.#kept.add(shard);
	}
	/** No edges but these stay without being used. */
	keepOnly(shards: readonly number[]): void {
		this.#kept.clear();
		shards.forEach((shard) => this.#kept.add(shard));
	}
	keeps(shard: number): boolean {
		return this.#kept.has(shard);
	}

	/** Whether there is an edge on the shard, or one on its way. */
	has(shard: number): boolean {
		return this.#edges.has(shard);
	}

	/**
	 * Closes edges that nobody has used for `lingerMs`.
	 * @param inUse whether listeners are on (or on their way to) the shard
	 */
	closeIdle(nowMs: number, lingerMs: number, inUse: (shard: number) => boolean): void {
		for (const [index, edge] of this.#edges) {
			if (edge.children.size > 0 || this.#kept.has(index) || inUse(index)) {
				edge.idleSinceMs = undefined;
			} else if (edge.idleSinceMs === undefined) {
				edge.idleSinceMs = nowMs;
			} else if (nowMs - edge.idleSinceMs >= lingerMs) {
				this.#log.debug({ shard: index }, 'edge closed: nobody listens there');
				this.#close(index, edge, 'nobody listens');
			}
		}
	}

	/** Closes edges with everybody on them, who then come back elsewhere. @param shard undefined: all of them */
	end(shard: number | undefined, reason: string): void {
		for (const [index, edge] of this.#edges) {
			if (shard === undefined || shard === index) {
				this.#close(index, edge, reason);
			}
		}
	}

	close(reason: string): void {
		if (this.#closed) {
			return;
		}
		this.#closed = true;
		for (const [index, edge] of this.#edges) {
			this.#close(index, edge, reason);
		}
	}

	#close(index: number, edge: Edge, reason: string): void {
		this.#tell(edge.shard, (shard) => shard.request('edge.close', { roomId: this.#roomId, reason }));
		this.#drop(index, edge);
	}

	/** The edge is no more. */
	#drop(index: number, edge: Edge): void {
		this.#edges.delete(index);
		edge.upstream.close();
		this.#options.onClosed(index);
		this.#broker.detach(this.#roomId, { nodeId: this.#broker.nodeId, shard: index });
	}

	#forget(index: number, edge: Edge): void {
		if (this.#edges.get(index) === edge) {
			// After a time-out it may be there all the same, linked by an origin that came meanwhile.
			this.#close(index, edge, 'could not be opened in time');
		}
	}

	/** Fire and forget: a shard that cannot be told is dying, and its death is handled elsewhere. */
	#tell(shard: Shard, request: (shard: Shard) => Promise<unknown>): void {
		if (!shard.isGone) {
			request(shard).catch((error: unknown) => this.#log.warn({ err: error }, 'a listener shard could not be told'));
		}
	}
}

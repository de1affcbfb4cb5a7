import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import type { LinkedVoice, LinkEndpoint, PackingMs } from '../../sfu/contract/media-types.ts';
import type { Shard } from '../../sfu/supervisor/shard.ts';
import type { EdgeRef, UpstreamRef } from '../cluster/peer-protocol.ts';
import { DomainError } from '../errors.ts';
import type { Avoided, LinkBroker } from './link-broker.ts';

export interface RoomEdgesOptions {
	roomId: string;
	voices: number;
	packingMs: PackingMs;
	broker: LinkBroker;
	log: Logger;
}

interface Link {
	readonly id: string;
	/** Known once the home has said it. */
	upstream: UpstreamRef | undefined;
}

interface Edge {
	readonly shard: Shard;
	readonly opened: Promise<void>;
	/** Over which the programme comes. */
	link: Link | undefined;
	/** On its way to take the other's place; the latest one counts. */
	making: Link | undefined;
	/** Failures since the last link that came about. */
	failures: number;
	/** Upstreams that failed this edge lately. */
	readonly avoid: Map<string, { what: Avoided; untilMs: number }>;
	/** Ids of links that begin here. */
	readonly children: Set<string>;
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

const RETRY_MS = 200;
const RETRY_MAX_MS = 2_000;
/** An upstream that failed is not asked for again for this long, if there is another. */
const AVOID_MS = 10_000;

/**
 * A room's edges on this node's listener shards, each with a link to an upstream: the origin or a relay, here or on
 * another node. They heal themselves: while a new link is made the listeners stay where they are, and the link
 * that an edge has goes on until the new one is there.
 */
export class RoomEdges {
	readonly #options: RoomEdgesOptions;
	readonly #roomId: string;
	readonly #broker: LinkBroker;
	readonly #log: Logger;
	readonly #edges = new Map<number, Edge>();
	#packingMs: PackingMs;
	#closed = false;

	constructor(options: RoomEdgesOptions) {
		this.#options = options;
		this.#roomId = options.roomId;
		this.#broker = options.broker;
		this.#packingMs = options.packingMs;
		this.#log = options.log;
	}

	get packingMs(): PackingMs {
		return this.#packingMs;
	}
	/** Where listeners of this room can be at the moment, by shard index. */
	get shards(): readonly number[] {
		return [...this.#edges.keys()];
	}

	describe(): EdgeDescription[] {
		return [...this.#edges].map(([shard, { link, children }]) => ({ shard, linkId: link?.id, upstream: link?.upstream, children: children.size }));
	}

	/** Links in use or being made, for their renewal. */
	*links(): Iterable<{ linkId: string; shard: number; upstream: UpstreamRef }> {
		for (const [shard, { link, making }] of this.#edges) {
			for (const one of [link, making]) {
				if (one?.upstream) {
					yield { linkId: one.id, shard, upstream: one.upstream };
				}
			}
		}
	}

	/** The room's edge on this listener shard, opened and linked if need be. Single-flight for each shard. */
	open(shard: Shard, index: number): Promise<void> {
		const known = this.#edges.get(index);
		if (known?.shard === shard) {
			known.idleSinceMs = undefined;
			return known.opened;
		}
		const { voices } = this.#options;
		const edge: Edge = {
			shard,
			link: undefined,
			making: undefined,
			failures: 0,
			avoid: new Map(),
			children: new Set(),
			idleSinceMs: undefined,
			opened: shard.request('edge.open', { roomId: this.#roomId, voices, packingMs: this.#packingMs }).then(() => {
				// Joining does not wait for the link: the edge has voices of its own, and sound follows. An
				// origin that came meanwhile has begun to link it already.
				if (!edge.link && !edge.making) {
					this.#link(index, edge);
				}
			}),
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
		for (const { shard, opened } of this.#edges.values()) {
			opened
				.then(() => {
					if (!this.#closed && packingMs === this.#packingMs) {
						this.#tell(shard, () => shard.request('edge.setPacking', { roomId: this.#roomId, packingMs }));
					}
				})
				.catch(() => undefined);
		}
	}

	/** What these edges (all, when not named) were linked to has gone or moved; those without a link try now, too. What had failed them before counts no more. */
	relink(shards?: readonly number[]): void {
		for (const [index, edge] of this.#edges) {
			if (shards === undefined || shards.includes(index) || !edge.link) {
				edge.avoid.clear();
				edge.failures = 0;
				this.#link(index, edge);
			}
		}
	}

	/** A shard died. Whether it carried an edge. */
	shardDown(index: number): boolean {
		const dead = this.#edges.get(index);
		if (!dead) {
			return false;
		}
		this.#edges.delete(index);
		this.#closeDownstream(dead.link);
		this.#closeDownstream(dead.making);
		this.#broker.detach(this.#roomId, this.#ref(index));
		return true;
	}

	/** A link brings nothing: make another one, elsewhere if that is possible. */
	linkStalled(index: number, linkId: string): void {
		const edge = this.#edges.get(index);
		if (edge?.link?.id === linkId && !edge.making) {
			this.#avoid(edge, edge.link.upstream);
			this.#link(index, edge);
		}
	}

	/** A node is gone: edges that were linked to it do not wait for the silence to be noticed. */
	upstreamDown(nodeId: string): void {
		for (const [index, edge] of this.#edges) {
			if (edge.link?.upstream?.nodeId === nodeId && !edge.making) {
				this.#avoid(edge, edge.link.upstream);
				this.#link(index, edge);
			}
		}
	}

	/** An upstream's node does not know this link any more. */
	linkUnknown(linkId: string): void {
		for (const [index, edge] of this.#edges) {
			if (edge.link?.id === linkId && !edge.making) {
				this.#link(index, edge);
			}
		}
	}

	/** The sending half of a link that begins at one of these edges. Rejects with DomainError `upstream_unavailable`, or as the shard does. */
	async createDownstream(index: number, linkId: string, remote: LinkEndpoint): Promise<LinkEndpoint & { voices: LinkedVoice[] }> {
		const edge = this.#edges.get(index);
		if (!edge || edge.shard.isGone) {
			throw new DomainError('upstream_unavailable', 'This room has no edge on that shard (any more).');
		}
		edge.children.add(linkId);
		edge.idleSinceMs = undefined;
		try {
			await edge.opened;
			return await edge.shard.request('downstream.create', { roomId: this.#roomId, linkId, remote });
		} catch (error) {
			edge.children.delete(linkId);
			throw error;
		}
	}

	closeDownstream(index: number, linkId: string): void {
		const edge = this.#edges.get(index);
		if (edge?.children.delete(linkId)) {
			this.#tell(edge.shard, (shard) => shard.request('downstream.close', { roomId: this.#roomId, linkId }));
		}
	}

	/**
	 * Closes edges that nobody has used for `lingerMs`.
	 * @param inUse whether listeners are on (or on their way to) the shard
	 */
	closeIdle(nowMs: number, lingerMs: number, inUse: (shard: number) => boolean): void {
		for (const [index, edge] of this.#edges) {
			if (edge.children.size > 0 || inUse(index)) {
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
		this.#edges.delete(index);
		this.#tell(edge.shard, (shard) => shard.request('edge.close', { roomId: this.#roomId, reason }));
		this.#closeDownstream(edge.link);
		this.#closeDownstream(edge.making);
		this.#broker.detach(this.#roomId, this.#ref(index));
	}

	#ref(shard: number): EdgeRef {
		return { nodeId: this.#broker.nodeId, shard };
	}

	/** Links an edge anew; a failure is tried again until the edge is gone. */
	#link(index: number, edge: Edge): void {
		if (this.#edges.get(index) !== edge || this.#closed) {
			return;
		}
		const link: Link = { id: randomUUID(), upstream: undefined };
		edge.making = link;
		this.#make(index, edge, link).then(
			() => this.#linked(index, edge, link),
			(error: unknown) => this.#failed(index, edge, link, error),
		);
	}

	/** Both halves, or neither. */
	async #make(index: number, edge: Edge, link: Link): Promise<void> {
		const roomId = this.#roomId;
		const linkId = link.id;
		const child = this.#ref(index);
		const upstream = await this.#broker.findUpstream(roomId, child, this.#avoided(edge));
		link.upstream = upstream;
		if (edge.making !== link) {
			throw new DomainError('upstream_unavailable', 'The link was overtaken while it was made.');
		}
		try {
			const remote = await edge.shard.request('upstream.create', { roomId, linkId, srtp: upstream.nodeId !== this.#broker.nodeId });
			const { voices, ...originEnd } = await this.#broker.openDownstream({ roomId, linkId, upstream, child, remote });
			await edge.shard.request('upstream.connect', { roomId, linkId, remote: originEnd, voices });
		} catch (error) {
			this.#closeDownstream(link);
			await Promise.allSettled([edge.shard.request('upstream.close', { roomId, linkId })]);
			throw error;
		}
	}

	#linked(index: number, edge: Edge, link: Link): void {
		if (edge.making !== link || this.#edges.get(index) !== edge) {
			// Overtaken on its way, by another origin or the edge's end: neither half may stay.
			this.#tell(edge.shard, (shard) => shard.request('upstream.close', { roomId: this.#roomId, linkId: link.id }));
			this.#closeDownstream(link);
			return;
		}
		const former = edge.link;
		edge.link = link;
		edge.making = undefined;
		edge.failures = 0;
		this.#log.debug({ shard: index, link: link.id, upstream: link.upstream }, 'edge linked');
		this.#closeDownstream(former); // The edge let go of its half when it took the new one.
	}

	#failed(index: number, edge: Edge, link: Link, error: unknown): void {
		if (edge.making !== link || this.#closed || edge.shard.isGone || this.#edges.get(index) !== edge) {
			return; // Overtaken: whatever replaced it makes its own link.
		}
		const code = error instanceof DomainError ? error.code : undefined;
		if (code === 'upstream_unavailable' && link.upstream === undefined) {
			if (edge.avoid.size > 0) {
				edge.avoid.clear(); // What failed before may be all there is.
			} else if (this.#broker.isHome(this.#roomId)) {
				edge.making = undefined;
				return; // No origin yet: its coming links every edge.
			}
		}
		this.#avoid(edge, link.upstream);
		// Within the node the next attempt costs nobody else anything.
		const waitMs = this.#broker.isHome(this.#roomId) ? RETRY_MS : Math.min(RETRY_MAX_MS, RETRY_MS * 2 ** Math.min(edge.failures, 4));
		this.#log.warn({ err: error, shard: index, upstream: link.upstream, retryInMs: waitMs }, 'a link failed; making another');
		edge.failures++;
		setTimeout(() => {
			if (edge.making === link) {
				this.#link(index, edge);
			}
		}, waitMs).unref();
	}

	#avoid(edge: Edge, upstream: UpstreamRef | undefined): void {
		// No cable lies between an edge and the origin of its own node: whatever fails there is better tried again.
		const own = upstream?.shard === 'origin' && upstream.nodeId === this.#broker.nodeId;
		if (upstream && !own) {
			edge.avoid.set(`${upstream.nodeId}/${upstream.shard}`, { what: upstream, untilMs: performance.now() + AVOID_MS });
		}
	}

	#avoided(edge: Edge): Avoided[] {
		const nowMs = performance.now();
		for (const [key, { untilMs }] of edge.avoid) {
			if (untilMs <= nowMs) {
				edge.avoid.delete(key);
			}
		}
		return [...edge.avoid.values()].map(({ what }) => what);
	}

	/** The sending half does not notice by itself that nobody is there any more, and sends on. */
	#closeDownstream(link: Link | undefined): void {
		if (link?.upstream) {
			this.#broker.closeDownstream({ roomId: this.#roomId, linkId: link.id, upstream: link.upstream });
		}
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

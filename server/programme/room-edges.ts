import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import type { LinkedVoice, LinkEndpoint, PackingMs } from '../../sfu/contract/media-types.ts';
import type { Shard } from '../../sfu/supervisor/shard.ts';
import type { EdgeRef, UpstreamRef } from '../cluster/peer-protocol.ts';
import { DomainError } from '../errors.ts';
import { ALWAYS, inSpan } from '../tracing/spans.ts';
import type { Avoided, LinkBroker } from './link-broker.ts';

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

/**
 * Why an edge looked for another upstream: it was told to (another home or origin, the upstream closed), nothing came any more,
 * the upstream's node died or had forgotten the link, or the attempt before failed.
 */
export type RelinkReason = 'told' | 'stalled' | 'node_down' | 'unknown' | 'failed';
export type RelinkCounts = Record<RelinkReason, number>;

interface Link {
	readonly id: string;
	/** Known once the home has said it. */
	upstream: UpstreamRef | undefined;
	/** Whether its sending half may exist. */
	asked: boolean;
}

interface Edge {
	readonly shard: Shard;
	readonly opened: Promise<void>;
	/** Over which the programme comes. */
	link: Link | undefined;
	/** On its way to take the other's place; the latest one counts. */
	making: Link | undefined;
	/** Until the next attempt; undefined while one is under way, or none is needed. */
	retry: NodeJS.Timeout | undefined;
	/** Failures since the last link that came about. */
	failures: number;
	/** Upstreams that failed this edge lately. */
	readonly avoid: Map<string, { what: Avoided; untilMs: number }>;
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

const RETRY_MS = 200;
const RETRY_MAX_MS = 2_000;
/** An upstream that failed is not asked for again for this long, if there is another. */
const AVOID_MS = 10_000;
/** While a room moves or was opened a moment ago, its home or its origin may be missing so often without anything being wrong. */
const PATIENT_FAILURES = 3;
const NO_FLOORS: ReadonlyMap<number, PackingMs> = new Map();

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
		return [...this.#edges].map(([shard, { link, children }]) => ({ shard, linkId: link?.id, upstream: link?.upstream, children: children.size }));
	}

	/** Links in use, for their renewal. `settled`: no other one is on its way to take its place. */
	*links(): Iterable<{ linkId: string; shard: number; upstream: UpstreamRef; settled: boolean }> {
		for (const [shard, { link, making }] of this.#edges) {
			if (link?.upstream) {
				yield { linkId: link.id, shard, upstream: link.upstream, settled: making === undefined };
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
		const packingMs = this.#packingFor(index);
		const edge: Edge = {
			shard,
			packingMs,
			link: undefined,
			making: undefined,
			retry: undefined,
			failures: 0,
			avoid: new Map(),
			children: new Set(),
			idleSinceMs: undefined,
			opened: shard.request('edge.open', { roomId: this.#roomId, voices, packingMs }).then(() => {
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
		for (const [index, edge] of this.#edges) {
			if (shards.includes(index)) {
				this.#linkAfresh(index, edge);
			} else if (!edge.link && (edge.retry || !edge.making)) {
				this.#link(index, edge, edge.retry && 'failed');
			}
		}
	}

	/** The room has another home. Who hangs on a relay hears its programme over that: only links to the former origin, and such as its home ordered, are made anew. */
	rehome(): void {
		for (const [index, edge] of this.#edges) {
			if (edge.making || !edge.link?.upstream || edge.link.upstream.shard === 'origin') {
				this.#linkAfresh(index, edge);
			} else {
				edge.avoid.clear();
			}
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
		const edge = this.#edges.get(index);
		if (edge?.link?.id !== linkId || edge.making) {
			return false;
		}
		this.#avoid(edge, edge.link.upstream);
		this.#link(index, edge, 'stalled');
		return true;
	}

	/** A node is gone: edges that were linked to it, or about to be, do not wait until that shows. */
	upstreamDown(nodeId: string): void {
		for (const [index, edge] of this.#edges) {
			const at = edge.making?.upstream ?? (edge.making ? undefined : edge.link?.upstream);
			if (at?.nodeId === nodeId || (edge.retry && edge.link?.upstream?.nodeId === nodeId)) {
				this.#avoid(edge, { nodeId });
				this.#link(index, edge, 'node_down');
			}
		}
	}

	/** An upstream's node does not know this link any more. */
	linkUnknown(linkId: string): void {
		for (const [index, edge] of this.#edges) {
			if (edge.link?.id === linkId && !edge.making) {
				this.#link(index, edge, 'unknown');
			}
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
		const { link, making } = edge;
		this.#edges.delete(index);
		// Whatever is still under way for it finds itself overtaken: its shard may have an edge of this room again by then.
		edge.link = undefined;
		edge.making = undefined;
		clearTimeout(edge.retry);
		edge.retry = undefined;
		this.#closeDownstream(link);
		this.#closeDownstream(making);
		this.#options.onClosed(index);
		this.#broker.detach(this.#roomId, this.#ref(index));
	}

	#ref(shard: number): EdgeRef {
		return { nodeId: this.#broker.nodeId, shard };
	}

	/** What failed it before counts no more. */
	#linkAfresh(index: number, edge: Edge): void {
		edge.avoid.clear();
		edge.failures = 0;
		this.#link(index, edge, edge.link && 'told');
	}

	/** Links an edge; a failure is tried again until the edge is gone. @param why undefined: it has had no link yet */
	#link(index: number, edge: Edge, why?: RelinkReason): void {
		if (this.#edges.get(index) !== edge || this.#closed) {
			return;
		}
		if (why !== undefined) {
			this.#options.relinks[why]++;
			if (why !== 'failed') {
				this.#log.info({ shard: index, link: edge.link?.id, upstream: edge.link?.upstream, why }, 'an edge looks for another upstream');
			}
		}
		clearTimeout(edge.retry);
		edge.retry = undefined;
		const link: Link = { id: randomUUID(), upstream: undefined, asked: false };
		edge.making = link;
		const attributes = { [ALWAYS]: true, 'rostrum.room': this.#roomId, 'rostrum.shard': index, 'rostrum.link': link.id, 'rostrum.why': why ?? 'new' };
		inSpan('link', attributes, () => this.#make(index, edge, link)).then(
			() => this.#linked(index, edge, link),
			(error: unknown) => this.#failed(index, edge, link, error),
		);
	}

	/**
	 * Both halves, or neither. The shard lets the link that it made last win: so one that was overtaken must not be
	 * connected, or it would take the place of its successor.
	 */
	async #make(index: number, edge: Edge, link: Link): Promise<void> {
		const roomId = this.#roomId;
		const linkId = link.id;
		const child = this.#ref(index);
		const goOn = () => {
			if (edge.making !== link) {
				throw new DomainError('upstream_unavailable', 'The link was overtaken while it was made.');
			}
		};
		const upstream = await this.#broker.findUpstream(roomId, child, this.#avoided(edge));
		goOn();
		link.upstream = upstream;
		try {
			const remote = await edge.shard.request('upstream.create', { roomId, linkId, srtp: upstream.nodeId !== this.#broker.nodeId });
			goOn();
			link.asked = true;
			const { voices, ...originEnd } = await this.#broker.openDownstream({ roomId, linkId, upstream, child, remote });
			goOn();
			await edge.shard.request('upstream.connect', { roomId, linkId, remote: originEnd, voices });
		} catch (error) {
			this.#closeDownstream(link);
			await Promise.allSettled([edge.shard.request('upstream.close', { roomId, linkId })]);
			throw error;
		}
	}

	#linked(index: number, edge: Edge, link: Link): void {
		if (!edge.making) {
			// The edge was closed, or its successor is in place: neither half may stay.
			this.#tell(edge.shard, (shard) => shard.request('upstream.close', { roomId: this.#roomId, linkId: link.id }));
			this.#closeDownstream(link);
			return;
		}
		const former = edge.link;
		edge.link = link;
		if (edge.making === link) {
			edge.making = undefined;
			edge.failures = 0;
		} // Else it was overtaken in its last step, and is what there is until its successor comes.
		this.#log.debug({ shard: index, link: link.id, upstream: link.upstream }, 'edge linked');
		this.#closeDownstream(former); // The edge let go of its half when it took the new one.
	}

	#failed(index: number, edge: Edge, link: Link, error: unknown): void {
		if (edge.making !== link || this.#closed || edge.shard.isGone) {
			return; // Overtaken: whatever replaced it makes its own link.
		}
		const { upstream } = link;
		const code = error instanceof DomainError ? error.code : undefined;
		if (code === 'upstream_unavailable' && !upstream) {
			if (edge.avoid.size > 0) {
				edge.avoid.clear(); // What failed before may be all there is.
			} else if (this.#broker.isHome(this.#roomId)) {
				edge.making = undefined;
				return; // No origin yet: its coming links every edge.
			}
		}
		// Who does not answer does not do so for anything on that node.
		const elsewhere = code !== 'not_home' && this.#avoid(edge, code === 'peer_unreachable' && upstream ? { nodeId: upstream.nodeId } : upstream);
		const waitMs = this.#waitMs(edge, elsewhere);
		// A room that moves has no home or no origin for a moment, and one link that fails tells what the next ones would.
		const level = edge.failures === (upstream ? 0 : PATIENT_FAILURES) ? 'warn' : 'debug';
		this.#log[level]({ err: error, shard: index, link: link.id, upstream, retryInMs: waitMs }, 'a link failed; making another');
		edge.failures++;
		edge.retry = setTimeout(() => this.#link(index, edge, 'failed'), waitMs).unref();
	}

	#waitMs({ failures }: Edge, elsewhere: boolean): number {
		if (elsewhere && failures === 0) {
			return 0; // There may be another, which is none the worse for it.
		}
		// Within the node the next attempt costs nobody else anything.
		return this.#broker.isHome(this.#roomId) ? RETRY_MS : Math.min(RETRY_MAX_MS, RETRY_MS * 2 ** Math.min(failures, 4));
	}

	/** Whether the next attempt will go elsewhere. */
	#avoid(edge: Edge, what: Avoided | undefined): boolean {
		// No cable lies between an edge and the origin of its own node: whatever fails there is better tried again.
		if (!what || (what.shard === 'origin' && what.nodeId === this.#broker.nodeId)) {
			return false;
		}
		edge.avoid.set(`${what.nodeId}/${what.shard}`, { what, untilMs: performance.now() + AVOID_MS });
		return true;
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
		if (link?.upstream && link.asked) {
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

import type { Logger } from 'pino';
import type { LinkedVoice, LinkEndpoint, PackingMs, RtpCapabilities } from '../../sfu/contract/media-types.ts';
import type { Shard } from '../../sfu/supervisor/shard.ts';
import type { EdgeRef, UpstreamRef } from '../cluster/peer-protocol.ts';
import { DomainError } from '../errors.ts';
import { FanOutTree } from '../placement/fan-out-tree.ts';
import type { RelinkCounts } from './edge-upstream.ts';
import type { Avoided, LinkBroker } from './link-broker.ts';
import { RoomEdges } from './room-edges.ts';
import { type Origin, RoomOrigin } from './room-origin.ts';

export interface RoomProgrammeOptions {
	roomId: string;
	voices: number;
	onAir: boolean;
	packingMs: PackingMs;
	/** Links that begin at one place. */
	maxFanOut: number;
	/** Of a node, if it has said so. */
	regionOf: (nodeId: string) => string | undefined;
	/** Whether an edge's shard is being drained: others should not hang on it. */
	isLeaving: (edge: EdgeRef) => boolean;
	broker: LinkBroker;
	/** The stage shard to put the origin on; undefined while none lives. */
	pickStageShard: () => Shard | undefined;
	/** Told whenever the origin is there (again), before any edge is linked to it. */
	onOrigin: (rtpCapabilities: RtpCapabilities) => void;
	/** Edges, here or elsewhere, that are to link anew. */
	onRelink: (edges: readonly EdgeRef[]) => void;
	/** This home is new, and its origin is there: to be told to all, and to edges that have asked in vain. */
	onRehome: (asked: readonly EdgeRef[]) => void;
	/** Of all rooms together. */
	relinks: RelinkCounts;
	log: Logger;
}

interface Downstream {
	readonly at: number | 'origin';
	readonly child: EdgeRef;
	renewedAtMs: number;
}

/** A link or a place in the tree that nobody renews for this long is given up. */
const LEASE_MS = 15_000;

/**
 * One room's media on this node: the edges that its listeners here hang on and, at the room's home, the origin with
 * the tree of everything that hangs on that.
 */
export class RoomProgramme {
	readonly roomId: string;
	readonly edges: RoomEdges;
	readonly #options: RoomProgrammeOptions;
	readonly #log: Logger;
	readonly #origin: RoomOrigin;
	#tree: FanOutTree;
	/** Links that begin on this node, by id. */
	readonly #downstreams = new Map<string, Downstream>();
	/** Edges that asked while there was no origin, by name. */
	readonly #waiting = new Map<string, EdgeRef>();
	/** Whether all have heard of this home. */
	#isKnown = false;
	#closed = false;

	constructor(options: RoomProgrammeOptions) {
		const { roomId, voices, onAir, packingMs, broker, relinks, pickStageShard } = options;
		this.#options = options;
		this.roomId = roomId;
		this.#log = options.log.child({ room: roomId });
		this.#tree = this.#newTree();
		this.edges = new RoomEdges({ roomId, voices, packingMs, broker, relinks, onClosed: (shard) => this.#forgetLinks(shard), log: this.#log });
		this.#origin = new RoomOrigin({ roomId, voices, onAir, packingMs, pickStageShard, onOpen: (rtpCapabilities) => this.#opened(rtpCapabilities), log: this.#log });
	}

	get originShard(): Shard | undefined {
		return this.#origin.current?.shard;
	}
	/** At the home: what hangs on what. */
	get tree(): FanOutTree {
		return this.#tree;
	}

	/** At the home alone: the origin, opened if need be. Rejects with DomainError `not_home`, or as `RoomOrigin.open`. */
	async openOrigin(): Promise<Origin> {
		this.#requireHome();
		return this.#origin.open();
	}

	setOnAir(onAir: boolean): void {
		this.#origin.setOnAir(onAir);
	}

	/** What packets to listeners carry, as the size of the audience asks for it; links follow. */
	setPackingMs(packingMs: PackingMs): void {
		this.edges.setPackingMs(packingMs);
		this.#origin.setPackingMs(packingMs);
	}

	/** A shard of this node died. Whether the origin was on it. */
	shardDown(index: number): boolean {
		this.edges.shardDown(index);
		if (!this.#origin.shardDown()) {
			return false;
		}
		this.#forgetLinks('origin');
		return true;
	}

	/** A stage shard is there: take the origin back up if it was lost. */
	stageShardUp(): void {
		if (this.#options.broker.isHome(this.roomId) && !this.#closed) {
			this.#origin.stageShardUp();
		}
	}

	/** Moves the origin off its shard. Speakers must make their media anew, as after its death. */
	async moveOrigin(): Promise<void> {
		this.#origin.abandon();
		this.#forgetLinks('origin');
		await this.openOrigin();
	}

	/** The room lives elsewhere from now on. */
	stepDown(): void {
		this.#origin.close();
		this.#forgetLinks('origin');
		this.#tree = this.#newTree();
		this.#waiting.clear();
		this.#isKnown = false;
	}

	/** At the home: where this edge is to link to. Rejects with DomainError `not_home`, `upstream_unavailable`. */
	async findUpstream(edge: EdgeRef, avoid: readonly Avoided[]): Promise<UpstreamRef> {
		this.#requireHome();
		if (!this.#origin.current) {
			this.#waiting.set(`${edge.nodeId}.${edge.shard}`, edge);
			throw new DomainError('upstream_unavailable', 'This room has no origin at the moment.', { retryAfterSeconds: 1 });
		}
		if (edge.nodeId === this.#options.broker.nodeId) {
			// Whoever hangs on a node that was cut off is told nothing but silence, and could fill every place there is.
			avoid.forEach(({ nodeId }) => this.#tree.cutOff(nodeId));
		}
		const upstream = this.#tree.attach(edge, avoid);
		this.#tree.touch(edge, performance.now());
		if (!upstream) {
			throw new DomainError('upstream_unavailable', 'Nothing that this edge may link to has room for a further link.', { retryAfterSeconds: 1 });
		}
		return upstream;
	}

	/** At the home: an edge is closed. Those that hung on it are told to link anew. */
	detach(edge: EdgeRef): void {
		this.#waiting.delete(`${edge.nodeId}.${edge.shard}`);
		const orphans = this.#tree.detach(edge);
		if (orphans.length > 0 && !this.#closed) {
			this.#options.onRelink(orphans);
		}
	}

	/** Another node is gone, with every edge and link of its. */
	nodeDown(nodeId: string): void {
		for (const [linkId, { child, at }] of this.#downstreams) {
			if (child.nodeId === nodeId) {
				this.closeDownstream(at, linkId);
			}
		}
		const orphans = this.#tree.detachNode(nodeId);
		if (orphans.length > 0) {
			this.#options.onRelink(orphans);
		}
	}

	/** The sending half of a link that begins on this node. Rejects with DomainError `upstream_unavailable`, `not_home`, or as the shard does. */
	async openDownstream(at: number | 'origin', linkId: string, child: EdgeRef, remote: LinkEndpoint): Promise<LinkEndpoint & { voices: LinkedVoice[] }> {
		const downstream = { at, child, renewedAtMs: performance.now() };
		this.#downstreams.set(linkId, downstream);
		try {
			if (at !== 'origin') {
				return await this.edges.createDownstream(at, linkId, remote);
			}
			this.#requireHome();
			const origin = this.#origin.current;
			if (!origin) {
				throw new DomainError('upstream_unavailable', 'This room has no origin at the moment.', { retryAfterSeconds: 1 });
			}
			return await origin.shard.request('downstream.create', { roomId: this.roomId, linkId, remote });
		} catch (error) {
			// A question that came twice is not to take back what the other one made; after a time-out it may be there all the same.
			if (this.#downstreams.get(linkId) === downstream) {
				this.closeDownstream(at, linkId);
			}
			throw error;
		}
	}

	/** Also takes back one that is being made. */
	closeDownstream(at: number | 'origin', linkId: string): void {
		this.#downstreams.delete(linkId);
		if (at !== 'origin') {
			this.edges.closeDownstream(at, linkId);
			return;
		}
		const shard = this.#origin.current?.shard;
		if (shard && !shard.isGone) {
			shard.request('downstream.close', { roomId: this.roomId, linkId }).catch((error: unknown) => this.#log.warn({ err: error, link: linkId }, 'a link could not be closed'));
		}
	}

	/** Whether this node knows the link; if so it lives on. */
	renewLink(linkId: string, nowMs: number): boolean {
		const downstream = this.#downstreams.get(linkId);
		if (!downstream) {
			return false;
		}
		downstream.renewedAtMs = nowMs;
		return true;
	}

	/** At the home: whether the edge has its place in the tree (again); if so it keeps it. */
	renewEdge(edge: EdgeRef, upstream: UpstreamRef, nowMs: number): boolean {
		// Always: after a question that was doubled the book may name another upstream than the edge has.
		const placed = this.#tree.attachAs(edge, upstream);
		this.#tree.touch(edge, nowMs);
		return placed;
	}

	/** Gives up what nobody renewed. */
	expire(nowMs: number): void {
		for (const [linkId, { at, child, renewedAtMs }] of this.#downstreams) {
			if (nowMs - renewedAtMs > LEASE_MS && child.nodeId !== this.#options.broker.nodeId) {
				this.#log.info({ link: linkId, peer: child.nodeId, shard: child.shard }, 'a link that nobody renewed was closed');
				this.closeDownstream(at, linkId);
			}
		}
		const orphans = this.#tree.expire(nowMs, LEASE_MS);
		if (orphans.length > 0) {
			this.#options.onRelink(orphans);
		}
	}

	close(reason: string): void {
		if (this.#closed) {
			return;
		}
		this.#closed = true;
		this.#origin.close();
		this.edges.close(reason);
		this.#downstreams.clear();
	}

	#opened(rtpCapabilities: RtpCapabilities): void {
		this.#log.info({ shard: this.originShard?.assignment?.index }, 'origin opened');
		// Speakers first: their way back is the longest part of what listeners wait for.
		this.#options.onOrigin(rtpCapabilities);
		const asked = [...this.#waiting.values()];
		this.#waiting.clear();
		if (this.#isKnown) {
			// Relays keep their children: only what hung on the lost origin must find the new one.
			this.#options.onRelink([...this.#tree.children({ nodeId: this.#options.broker.nodeId, shard: 'origin' }), ...asked]);
		} else {
			this.#isKnown = true;
			this.#options.onRehome(asked);
		}
	}

	#newTree(): FanOutTree {
		const { maxFanOut, regionOf, isLeaving, broker } = this.#options;
		return new FanOutTree({ homeNodeId: broker.nodeId, maxFanOut, regionOf, isLeaving });
	}

	/** What they began at is gone, and the sending halves with it. */
	#forgetLinks(from: number | 'origin'): void {
		for (const [linkId, { at }] of this.#downstreams) {
			if (at === from) {
				this.#downstreams.delete(linkId);
			}
		}
	}

	#requireHome(): void {
		if (this.#closed || !this.#options.broker.isHome(this.roomId)) {
			throw new DomainError('not_home', 'This room does not live on this node.', { retryAfterSeconds: 1 });
		}
	}
}

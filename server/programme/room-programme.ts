import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import type { PackingMs, RtpCapabilities } from '../../sfu/contract/media-types.ts';
import { SfuError } from '../../sfu/contract/sfu-error.ts';
import type { Shard } from '../../sfu/supervisor/shard.ts';

export interface RoomProgrammeOptions {
	roomId: string;
	voices: number;
	onAir: boolean;
	packingMs: PackingMs;
	/** The stage shard to put the origin on; undefined while none lives. */
	pickStageShard: () => Shard | undefined;
	/** Told whenever the origin is there (again). */
	onOrigin: (rtpCapabilities: RtpCapabilities) => void;
	log: Logger;
}

interface Origin {
	shard: Shard;
	rtpCapabilities: RtpCapabilities;
}

interface Link {
	readonly id: string;
	readonly origin: Origin;
}

interface Edge {
	readonly shard: Shard;
	readonly opened: Promise<void>;
	/** Over which the programme comes. */
	link: Link | undefined;
	/** On its way to take the other's place; the latest one counts. */
	making: Link | undefined;
}

/**
 * One room's media on this node: its origin, its edges, and the links between them. Heals itself: when the
 * origin's shard dies the next one takes over and every edge is linked again, while the listeners stay where they are.
 */
export class RoomProgramme {
	readonly roomId: string;
	readonly #options: RoomProgrammeOptions;
	readonly #log: Logger;
	readonly #edges = new Map<number, Edge>();
	#origin: Origin | undefined;
	#opening: Promise<Origin> | undefined;
	/** Where that happens. */
	#openingOn: Shard | undefined;
	#retry: NodeJS.Timeout | undefined;
	/** A room that has never had a speaker needs no origin; one that has had gets it back. */
	#wantsOrigin = false;
	#onAir: boolean;
	#packingMs: PackingMs;
	#closed = false;

	constructor(options: RoomProgrammeOptions) {
		this.#options = options;
		this.roomId = options.roomId;
		this.#onAir = options.onAir;
		this.#packingMs = options.packingMs;
		this.#log = options.log.child({ room: options.roomId });
	}

	get packingMs(): PackingMs {
		return this.#packingMs;
	}
	get originShard(): Shard | undefined {
		return this.#origin?.shard;
	}
	/** Where listeners of this room can be at the moment, by shard index. */
	get edgeShards(): readonly number[] {
		return [...this.#edges.keys()];
	}

	/**
	 * The origin, opened if need be. Single-flight. Rejects with `shard_gone` while no stage shard lives; whatever it
	 * rejects with, the room goes on trying by itself.
	 */
	openOrigin(): Promise<Origin> {
		this.#wantsOrigin = true;
		if (this.#origin) {
			return Promise.resolve(this.#origin);
		}
		if (!this.#opening) {
			this.#opening = this.#doOpenOrigin().finally(() => (this.#opening = undefined));
			this.#opening.catch((error: unknown) => this.#openOriginLater(error));
		}
		return this.#opening;
	}

	/** The room's edge on this listener shard, opened and linked if need be. Single-flight for each shard. */
	openEdge(shard: Shard, index: number): Promise<void> {
		const known = this.#edges.get(index);
		if (known?.shard === shard) {
			return known.opened;
		}
		const { roomId, voices } = this.#options;
		const edge: Edge = {
			shard,
			link: undefined,
			making: undefined,
			opened: shard.request('edge.open', { roomId, voices, packingMs: this.#packingMs }).then(() => {
				// Joining does not wait for the link: the edge has voices of its own, and sound follows. An
				// origin that came meanwhile has begun to link it already.
				if (!edge.link && !edge.making) {
					this.#link(index, edge);
				}
			}),
		};
		this.#edges.set(index, edge);
		edge.opened.catch(() => this.#forgetEdge(index, edge));
		return edge.opened;
	}

	setOnAir(onAir: boolean): void {
		this.#onAir = onAir;
		this.#tell(this.#origin?.shard, (shard) => shard.request('origin.setOnAir', { roomId: this.roomId, onAir }));
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
						this.#tell(shard, () => shard.request('edge.setPacking', { roomId: this.roomId, packingMs }));
					}
				})
				.catch(() => undefined);
		}
	}

	/** A shard died. Whether the origin was on it. */
	shardDown(index: number): boolean {
		const dead = this.#edges.get(index);
		if (dead) {
			this.#edges.delete(index);
			this.#closeDownstream(dead.link);
		}
		if (!this.#origin?.shard.isGone) {
			return false;
		}
		this.#origin = undefined;
		for (const edge of this.#edges.values()) {
			edge.link = undefined;
			edge.making = undefined;
		}
		return true;
	}

	/** A stage shard is there: take the origin back up if it was lost. */
	stageShardUp(): void {
		if (!this.#wantsOrigin || this.#origin || this.#closed || !this.#options.pickStageShard()) {
			return; // Nothing to do, or the next shard's coming calls this again.
		}
		this.openOrigin().catch(() => undefined); // It tries again by itself.
	}

	/** A link brings nothing: make another one. */
	linkStalled(index: number, linkId: string): void {
		const edge = this.#edges.get(index);
		if (edge?.link?.id === linkId && !edge.making) {
			this.#link(index, edge);
		}
	}

	close(reason: string): void {
		if (this.#closed) {
			return;
		}
		this.#closed = true;
		clearTimeout(this.#retry);
		// At once, whatever is under way, and never later: a room of the same id may be opened next.
		this.#tell(this.#origin?.shard ?? this.#openingOn, (shard) => shard.request('origin.close', { roomId: this.roomId }));
		for (const { shard } of this.#edges.values()) {
			this.#tell(shard, () => shard.request('edge.close', { roomId: this.roomId, reason }));
		}
		this.#edges.clear();
		this.#origin = undefined;
	}

	async #doOpenOrigin(): Promise<Origin> {
		const { roomId, voices, pickStageShard, onOrigin } = this.#options;
		const shard = pickStageShard();
		if (!shard) {
			throw new SfuError('shard_gone', 'no stage shard lives at the moment');
		}
		const onAir = this.#onAir;
		this.#openingOn = shard;
		const { rtpCapabilities } = await shard.request('origin.open', { roomId, voices, onAir }).catch((error: unknown) => {
			if (!this.#closed) {
				// After a time-out it may be there all the same, and the next attempt may go to another shard.
				this.#tell(shard, () => shard.request('origin.close', { roomId }));
			}
			throw error;
		});
		if (this.#closed) {
			throw new SfuError('room_unknown', 'the room ended meanwhile');
		}
		if (shard.isGone) {
			throw new SfuError('shard_gone', 'the stage shard died while the origin was opened');
		}
		const origin = { shard, rtpCapabilities };
		this.#origin = origin;
		if (onAir !== this.#onAir) {
			this.setOnAir(this.#onAir);
		}
		// Speakers first: their way back is the longest part of what listeners wait for.
		onOrigin(rtpCapabilities);
		for (const [index, edge] of this.#edges) {
			this.#link(index, edge);
		}
		return origin;
	}

	#openOriginLater(error: unknown): void {
		if (this.#closed || this.#retry || !this.#options.pickStageShard()) {
			return; // Over, in hand already, or the next shard's coming begins it.
		}
		this.#log.warn({ err: error }, 'the origin could not be opened; trying again');
		this.#retry = setTimeout(() => {
			this.#retry = undefined;
			this.stageShardUp();
		}, RETRY_MS).unref();
	}

	/**
	 * Links an edge to the origin, if there is one; a failure is tried again until either end is gone. The link
	 * that the edge has goes on until the new one is there.
	 */
	#link(index: number, edge: Edge): void {
		const origin = this.#origin;
		if (!origin || this.#edges.get(index) !== edge || this.#closed) {
			return;
		}
		const link: Link = { id: randomUUID(), origin };
		edge.making = link;
		makeLink({ roomId: this.roomId, linkId: link.id, upstream: edge.shard, downstream: origin.shard }).then(
			() => this.#linked(index, edge, link),
			(error: unknown) => {
				if (edge.making !== link || this.#closed || edge.shard.isGone || origin.shard.isGone) {
					return; // Overtaken: whatever replaced it makes its own link.
				}
				this.#log.warn({ err: error, shard: index }, 'a link failed; making another');
				setTimeout(() => {
					if (edge.making === link) {
						this.#link(index, edge);
					}
				}, RETRY_MS).unref();
			},
		);
	}

	#linked(index: number, edge: Edge, link: Link): void {
		if (edge.making !== link || this.#edges.get(index) !== edge) {
			// Overtaken on its way, by another origin or the edge's end: neither half may stay.
			this.#tell(edge.shard, (shard) => shard.request('upstream.close', { roomId: this.roomId, linkId: link.id }));
			this.#closeDownstream(link);
			return;
		}
		const former = edge.link;
		edge.link = link;
		edge.making = undefined;
		this.#log.debug({ shard: index, link: link.id }, 'edge linked');
		this.#closeDownstream(former); // The edge let go of its half when it took the new one.
	}

	/** The sending half does not notice by itself that nobody is there any more, and sends on. */
	#closeDownstream(link: Link | undefined): void {
		if (link) {
			this.#tell(link.origin.shard, (shard) => shard.request('downstream.close', { roomId: this.roomId, linkId: link.id }));
		}
	}

	#forgetEdge(index: number, edge: Edge): void {
		if (this.#edges.get(index) === edge) {
			this.#edges.delete(index);
			// After a time-out it may be there all the same, linked by an origin that came meanwhile.
			this.#closeDownstream(edge.link);
			this.#tell(edge.shard, (shard) => shard.request('edge.close', { roomId: this.roomId, reason: 'could not be opened in time' }));
		}
	}

	/** Fire and forget: a shard that cannot be told is dying, and its death is handled elsewhere. */
	#tell(shard: Shard | undefined, request: (shard: Shard) => Promise<unknown>): void {
		if (shard && !shard.isGone) {
			request(shard).catch((error: unknown) => this.#log.warn({ err: error }, 'a shard could not be told'));
		}
	}
}

const RETRY_MS = 200;

/** Both halves of a link inside this host, or neither. */
async function makeLink({ roomId, linkId, upstream, downstream }: { roomId: string; linkId: string; upstream: Shard; downstream: Shard }): Promise<void> {
	try {
		const edgeEnd = await upstream.request('upstream.create', { roomId, linkId, srtp: false });
		const { voices, ...originEnd } = await downstream.request('downstream.create', { roomId, linkId, remote: edgeEnd });
		await upstream.request('upstream.connect', { roomId, linkId, remote: originEnd, voices });
	} catch (error) {
		await Promise.allSettled([upstream.request('upstream.close', { roomId, linkId }), downstream.request('downstream.close', { roomId, linkId })]);
		throw error;
	}
}

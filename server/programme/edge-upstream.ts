import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import type { Shard } from '../../sfu/supervisor/shard.ts';
import type { EdgeRef, UpstreamRef } from '../cluster/peer-protocol.ts';
import { DomainError } from '../errors.ts';
import { ALWAYS, inSpan } from '../tracing/spans.ts';
import type { Avoided, LinkBroker } from './link-broker.ts';

/**
 * Why an edge looked for another upstream: it was told to (another home or origin, the upstream closed), nothing came any more,
 * the upstream's node died or had forgotten the link, or the attempt before failed.
 */
export type RelinkReason = 'told' | 'stalled' | 'node_down' | 'unknown' | 'failed';
export type RelinkCounts = Record<RelinkReason, number>;

export interface EdgeUpstreamOptions {
	roomId: string;
	/** The edge's. */
	shard: Shard;
	/** Of the edge's shard. */
	index: number;
	broker: LinkBroker;
	/** Counted up here, for all rooms together. */
	relinks: RelinkCounts;
	/** Whether there is (still) such an edge. */
	isWanted: () => boolean;
	log: Logger;
}

interface Link {
	readonly id: string;
	/** Known once the home has said it. */
	upstream: UpstreamRef | undefined;
	/** Whether its sending half may exist. */
	asked: boolean;
}

const RETRY_MS = 200;
const RETRY_MAX_MS = 2_000;
/** An upstream that failed is not asked for again for this long, if there is another. */
const AVOID_MS = 10_000;
/** While a room moves or was opened a moment ago, its home or its origin may be missing so often without anything being wrong. */
const PATIENT_FAILURES = 3;

/**
 * Over what an edge gets its programme: the link that it has, and the one that is on its way to take that one's place. It heals
 * itself: a failure is tried again until the edge is gone, and a link goes on until its successor is there.
 */
export class EdgeUpstream {
	readonly #options: EdgeUpstreamOptions;
	readonly #broker: LinkBroker;
	readonly #log: Logger;
	/** Over which the programme comes. */
	#link: Link | undefined;
	/** On its way to take the other's place; the latest one counts. */
	#making: Link | undefined;
	/** Until the next attempt; undefined while one is under way, or none is needed. */
	#retry: NodeJS.Timeout | undefined;
	/** Failures since the last link that came about. */
	#failures = 0;
	/** Upstreams that failed this edge lately. */
	readonly #avoid = new Map<string, { what: Avoided; untilMs: number }>();

	constructor(options: EdgeUpstreamOptions) {
		this.#options = options;
		this.#broker = options.broker;
		this.#log = options.log;
	}

	/** The link in use, and where it begins. */
	get linkId(): string | undefined {
		return this.#link?.id;
	}
	get ref(): UpstreamRef | undefined {
		return this.#link?.upstream;
	}
	/** No other link is on its way to take this one's place. */
	get isSettled(): boolean {
		return this.#making === undefined;
	}

	/** The edge is there: it is linked, unless an origin that came meanwhile has begun that already. */
	begin(): void {
		if (!this.#link && !this.#making) {
			this.#find();
		}
	}

	/** What it was linked to has gone or moved. What had failed it before counts no more. */
	relink(): void {
		this.#avoid.clear();
		this.#failures = 0;
		this.#find(this.#link && 'told');
	}

	/** There is more to link to than before: tries now if it has nothing. */
	retryNow(): void {
		if (!this.#link && (this.#retry || !this.#making)) {
			this.#find(this.#retry && 'failed');
		}
	}

	/** The room has another home. Only links to the former origin, and such as its home ordered, are made anew. */
	rehome(): void {
		if (this.#making || !this.#link?.upstream || this.#link.upstream.shard === 'origin') {
			this.relink();
		} else {
			this.#avoid.clear();
		}
	}

	/** The link brings nothing: makes another one, elsewhere if that is possible. Whether that is news. */
	stalled(linkId: string): boolean {
		if (this.#link?.id !== linkId || this.#making) {
			return false;
		}
		this.#shun(this.#link.upstream);
		this.#find('stalled');
		return true;
	}

	/** A node is gone: if the edge was linked to it, or about to be, it does not wait until that shows. */
	nodeDown(nodeId: string): void {
		const at = this.#making?.upstream ?? (this.#making ? undefined : this.#link?.upstream);
		if (at?.nodeId === nodeId || (this.#retry && this.#link?.upstream?.nodeId === nodeId)) {
			this.#shun({ nodeId });
			this.#find('node_down');
		}
	}

	/** The upstream's node does not know this link any more. */
	unknown(linkId: string): void {
		if (this.#link?.id === linkId && !this.#making) {
			this.#find('unknown');
		}
	}

	/** The edge is no more. Whatever is still under way for it finds itself overtaken: its shard may have an edge of this room again by then. */
	close(): void {
		const link = this.#link;
		const making = this.#making;
		this.#link = undefined;
		this.#making = undefined;
		clearTimeout(this.#retry);
		this.#retry = undefined;
		this.#closeDownstream(link);
		this.#closeDownstream(making);
	}

	/** Makes a link; a failure is tried again until the edge is gone. @param why undefined: it has had no link yet */
	#find(why?: RelinkReason): void {
		const { roomId, index, relinks, isWanted } = this.#options;
		if (!isWanted()) {
			return;
		}
		if (why !== undefined) {
			relinks[why]++;
			if (why !== 'failed') {
				this.#log.info({ shard: index, link: this.#link?.id, upstream: this.#link?.upstream, why }, 'an edge looks for another upstream');
			}
		}
		clearTimeout(this.#retry);
		this.#retry = undefined;
		const link: Link = { id: randomUUID(), upstream: undefined, asked: false };
		this.#making = link;
		const attributes = { [ALWAYS]: true, 'rostrum.room': roomId, 'rostrum.shard': index, 'rostrum.link': link.id, 'rostrum.why': why ?? 'new' };
		inSpan('link', attributes, () => this.#make(link)).then(
			() => this.#linked(link),
			(error: unknown) => this.#failed(link, error),
		);
	}

	/**
	 * Both halves, or neither. The shard lets the link that it made last win: so one that was overtaken must not be
	 * connected, or it would take the place of its successor.
	 */
	async #make(link: Link): Promise<void> {
		const { roomId, shard, index } = this.#options;
		const linkId = link.id;
		const child: EdgeRef = { nodeId: this.#broker.nodeId, shard: index };
		const goOn = () => {
			if (this.#making !== link) {
				throw new DomainError('upstream_unavailable', 'The link was overtaken while it was made.');
			}
		};
		const upstream = await this.#broker.findUpstream(roomId, child, this.#avoided());
		goOn();
		link.upstream = upstream;
		try {
			const remote = await shard.request('upstream.create', { roomId, linkId, srtp: upstream.nodeId !== this.#broker.nodeId });
			goOn();
			link.asked = true;
			const { voices, ...originEnd } = await this.#broker.openDownstream({ roomId, linkId, upstream, child, remote });
			goOn();
			await shard.request('upstream.connect', { roomId, linkId, remote: originEnd, voices });
		} catch (error) {
			this.#closeDownstream(link);
			await Promise.allSettled([shard.request('upstream.close', { roomId, linkId })]);
			throw error;
		}
	}

	#linked(link: Link): void {
		const { roomId, shard, index } = this.#options;
		if (!this.#making) {
			// The edge was closed, or its successor is in place: neither half may stay.
			if (!shard.isGone) {
				shard.request('upstream.close', { roomId, linkId: link.id }).catch((error: unknown) => this.#log.warn({ err: error }, 'a listener shard could not be told'));
			}
			this.#closeDownstream(link);
			return;
		}
		const former = this.#link;
		this.#link = link;
		if (this.#making === link) {
			this.#making = undefined;
			this.#failures = 0;
		} // Else it was overtaken in its last step, and is what there is until its successor comes.
		this.#log.debug({ shard: index, link: link.id, upstream: link.upstream }, 'edge linked');
		this.#closeDownstream(former); // The edge let go of its half when it took the new one.
	}

	#failed(link: Link, error: unknown): void {
		const { roomId, shard, index, isWanted } = this.#options;
		if (this.#making !== link || !isWanted() || shard.isGone) {
			return; // Overtaken: whatever replaced it makes its own link.
		}
		const { upstream } = link;
		const code = error instanceof DomainError ? error.code : undefined;
		if (code === 'upstream_unavailable' && !upstream) {
			if (this.#avoid.size > 0) {
				this.#avoid.clear(); // What failed before may be all there is.
			} else if (this.#broker.isHome(roomId)) {
				this.#making = undefined;
				return; // No origin yet: its coming links every edge.
			}
		}
		// Who does not answer does not do so for anything on that node.
		const elsewhere = code !== 'not_home' && this.#shun(code === 'peer_unreachable' && upstream ? { nodeId: upstream.nodeId } : upstream);
		const waitMs = this.#waitMs(elsewhere);
		// A room that moves has no home or no origin for a moment, and one link that fails tells what the next ones would.
		const level = this.#failures === (upstream ? 0 : PATIENT_FAILURES) ? 'warn' : 'debug';
		this.#log[level]({ err: error, shard: index, link: link.id, upstream, retryInMs: waitMs }, 'a link failed; making another');
		this.#failures++;
		this.#retry = setTimeout(() => this.#find('failed'), waitMs).unref();
	}

	#waitMs(elsewhere: boolean): number {
		if (elsewhere && this.#failures === 0) {
			return 0; // There may be another, which is none the worse for it.
		}
		// Within the node the next attempt costs nobody else anything.
		return this.#broker.isHome(this.#options.roomId) ? RETRY_MS : Math.min(RETRY_MAX_MS, RETRY_MS * 2 ** Math.min(this.#failures, 4));
	}

	/** Whether the next attempt will go elsewhere. */
	#shun(what: Avoided | undefined): boolean {
		// No cable lies between an edge and the origin of its own node: whatever fails there is better tried again.
		if (!what || (what.shard === 'origin' && what.nodeId === this.#broker.nodeId)) {
			return false;
		}
		this.#avoid.set(`${what.nodeId}/${what.shard}`, { what, untilMs: performance.now() + AVOID_MS });
		return true;
	}

	#avoided(): Avoided[] {
		const nowMs = performance.now();
		for (const [key, { untilMs }] of this.#avoid) {
			if (untilMs <= nowMs) {
				this.#avoid.delete(key);
			}
		}
		return [...this.#avoid.values()].map(({ what }) => what);
	}

	/** The sending half does not notice by itself that nobody is there any more, and sends on. */
	#closeDownstream(link: Link | undefined): void {
		if (link?.upstream && link.asked) {
			this.#broker.closeDownstream({ roomId: this.#options.roomId, linkId: link.id, upstream: link.upstream });
		}
	}
}

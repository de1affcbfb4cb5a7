import type { types } from 'mediasoup';
import type { Logger } from 'pino';
import type { LinkedVoice, LinkEndpoint, PackingMs } from '../contract/media-types.ts';
import { SfuError } from '../contract/sfu-error.ts';
import type { SessionAnswer, ShardEventName, ShardEvents } from '../contract/shard-protocol.ts';
import { type LinkPorts } from '../link/link-ports.ts';
import { UpstreamLink } from '../link/upstream-link.ts';
import { opusRouterCodec, STAGE_PAYLOAD_TYPE } from '../rtp/opus-codec.ts';
import type { SessionTable } from '../session/session-table.ts';
import type { TransportFactory } from '../session/web-rtc-server.ts';
import { asSfuError } from '../whep/as-sfu-error.ts';
import { type ListenOffer, parseListenOffer } from '../whep/listen-offer.ts';
import { EdgeRouter } from './edge-router.ts';
import { type EdgeKind, edgeKindOf, edgeKindKey, effectivePackingMs } from './edge-kind.ts';
import { parseVoicePacket } from './edge-voice.ts';
import { ListenerSession } from './listener-session.ts';

/** Keep-alives come at least every 400 ms; a link that brings nothing for this long is dead. */
const STALL_MS = 2_000;
/** Kinds of clients at once; a client can choose among 61 payload types, and must not make a router for each. */
const MAX_ROUTERS = 24;
/** An edge router that nobody has used for this long is closed, unless it is the last one. */
const IDLE_ROUTER_MS = 60_000;

export interface EdgeOptions {
	worker: types.Worker;
	roomId: string;
	voices: number;
	packingMs: PackingMs;
	transports: TransportFactory;
	sessions: SessionTable;
	link: LinkPorts;
	log: Logger;
	emit: <N extends ShardEventName>(name: N, data: ShardEvents[N]) => void;
}

interface Intake {
	router: types.Router;
	direct: types.DirectTransport;
}

/**
 * A room on a listener shard. The programme comes in over one replaceable upstream link, is taken apart
 * once, and goes out through an edge router for each kind of client (see `EdgeKind`). Listeners hang on the
 * edge's own voices, so that a new link, another origin or a changed packing touches none of them.
 */
export class Edge {
	readonly #options: EdgeOptions;
	readonly #log: Logger;
	readonly #routers = new Map<string, Promise<EdgeRouter>>();
	/** The routers that are ready, for the packet path. */
	readonly #ready: EdgeRouter[] = [];
	/** Oldest first. */
	readonly #upstreams = new Map<string, UpstreamLink>();
	/** Ids of links whose first half is being made. */
	readonly #makingUpstreams = new Set<string>();
	#intake: Promise<Intake> | undefined;
	/** The link whose packets are taken. */
	#current: UpstreamLink | undefined;
	#stalled = false;
	#packingMs: PackingMs;
	#packetsReceived = 0;
	#packetsSentByClosed = 0;
	#listeners = 0;
	#closed = false;

	static create(options: EdgeOptions): Edge {
		return new Edge(options);
	}

	private constructor(options: EdgeOptions) {
		this.#options = options;
		this.#packingMs = options.packingMs;
		this.#log = options.log.child({ room: options.roomId });
	}

	get listeners(): number {
		return this.#listeners;
	}
	get packetsReceived(): number {
		return this.#packetsReceived;
	}
	get packetsSent(): number {
		return this.#ready.reduce((sum, router) => sum + router.packetsSent, this.#packetsSentByClosed);
	}

	setPackingMs(packingMs: PackingMs): void {
		this.#packingMs = packingMs;
		for (const router of this.#ready) {
			router.setPackingMs(effectivePackingMs(router.kind, packingMs));
		}
	}

	/** WHEP: everything a listener will ever need from the server, in one go. */
	async join(sessionId: string, offerSdp: string, packingMs: PackingMs | undefined): Promise<SessionAnswer> {
		const { voices } = this.#options;
		const offer = asSfuError('bad_offer', () => readOffer(offerSdp, voices));
		const router = await this.#routerFor(edgeKindOf(offer.opusPayloadType, offer.maxPackingMs, packingMs));
		const session = await ListenerSession.create({
			id: sessionId,
			offer,
			router,
			// Fewer sections than voices cannot carry the programme; one voice with whoever dominates can.
			voiceIndices: offer.audio.length === voices ? offer.audio.map((_, index) => index) : [voices],
			transports: this.#options.transports,
			sessions: this.#options.sessions,
			onClosed: (reason) => {
				this.#listeners--;
				this.#log.debug({ session: sessionId, reason }, 'listener left');
			},
		});
		this.#listeners++;
		if (this.#closed) {
			session.close('room closed');
			throw new SfuError('room_unknown', 'the room closed while the session was made');
		}
		return { sdp: session.answer, etag: session.etag };
	}

	/** First half of a link; see `UpstreamLink`. */
	async createUpstream(linkId: string, srtp: boolean): Promise<LinkEndpoint> {
		this.closeUpstream(linkId, 'made again');
		this.#makingUpstreams.add(linkId);
		try {
			const { router, direct } = await (this.#intake ??= this.#openIntake());
			const link: UpstreamLink = await UpstreamLink.create({
				router,
				direct,
				linkId,
				srtp,
				ports: this.#options.link,
				wanted: (index) => this.#wants(index),
				onPacket: (index, packet) => {
					if (this.#current === link) {
						this.#onUpstreamPacket(index, packet);
					}
				},
			});
			if (this.#closed || !this.#makingUpstreams.has(linkId)) {
				link.close();
				throw new SfuError('room_unknown', 'the link was closed while it was made');
			}
			this.#upstreams.set(linkId, link);
			return link.local;
		} finally {
			this.#makingUpstreams.delete(linkId);
		}
	}

	/**
	 * Second half: from now on the programme comes over this link, and every older one is closed. An older one
	 * whose connection comes through late finds itself closed, so that the newest wins in any order.
	 */
	async connectUpstream(linkId: string, remote: LinkEndpoint, voices: readonly LinkedVoice[]): Promise<void> {
		const link = this.#upstreams.get(linkId);
		if (!link) {
			throw new SfuError('room_unknown', 'there is no such link at this edge');
		}
		try {
			await link.connect(remote, voices);
		} catch (error) {
			if (this.#upstreams.get(linkId) !== link) {
				throw new SfuError('room_unknown', 'the link was closed while it was connected', { cause: error });
			}
			this.closeUpstream(linkId, 'could not be connected');
			throw error;
		}
		if (this.#upstreams.get(linkId) !== link) {
			link.close();
			throw new SfuError('room_unknown', 'the link was closed while it was connected');
		}
		this.#current = link;
		this.#stalled = false;
		for (const router of this.#ready) {
			router.setUpstream(linkId);
		}
		for (const { id } of this.#upstreams.values()) {
			if (id === linkId) {
				break;
			}
			this.closeUpstream(id, 'replaced');
		}
	}

	closeUpstream(linkId: string, reason: string): void {
		this.#makingUpstreams.delete(linkId);
		const link = this.#upstreams.get(linkId);
		if (link) {
			this.#upstreams.delete(linkId);
			if (this.#current === link) {
				this.#current = undefined;
			}
			this.#log.debug({ link: linkId, reason }, 'upstream closed');
			link.close();
		}
	}

	tick(nowMs: number): void {
		for (const router of this.#ready) {
			router.tick(nowMs);
		}
		const link = this.#current;
		if (link && !this.#stalled && nowMs - link.lastPacketAtMs(nowMs) > STALL_MS) {
			this.#stalled = true;
			this.#options.emit('link.stalled', { roomId: this.#options.roomId, linkId: link.id });
		}
		this.#closeIdleRouters(nowMs);
	}

	close(reason: string): void {
		if (this.#closed) {
			return;
		}
		this.#closed = true;
		for (const link of this.#upstreams.values()) {
			this.closeUpstream(link.id, reason);
		}
		for (const router of this.#ready) {
			router.close(reason);
		}
		this.#intake?.then(({ router }) => router.close()).catch(() => undefined);
	}

	/** The packet path: parsed once, whatever the number of edge routers. */
	#onUpstreamPacket(index: number, packet: Buffer): void {
		this.#packetsReceived++;
		const parsed = parseVoicePacket(packet);
		if (!parsed) {
			return;
		}
		const nowMs = performance.now();
		for (const router of this.#ready) {
			router.onVoicePacket(index, parsed, nowMs);
		}
	}

	/** Single-flight for each kind; a failure is not remembered. */
	#routerFor(kind: EdgeKind): Promise<EdgeRouter> {
		const key = edgeKindKey(kind);
		let router = this.#routers.get(key);
		if (!router) {
			if (this.#routers.size >= MAX_ROUTERS) {
				this.#closeIdleRouters(performance.now(), 0);
			}
			if (this.#routers.size >= MAX_ROUTERS) {
				throw new SfuError('shard_full', 'too many different kinds of clients listen to this room here; offer Opus as payload type 111');
			}
			router = this.#openRouter(kind).catch((error: unknown) => {
				this.#routers.delete(key);
				throw error;
			});
			this.#routers.set(key, router);
		}
		return router;
	}

	#wants(index: number): boolean {
		return this.#ready.some((router) => router.wants(index));
	}

	async #openRouter(kind: EdgeKind): Promise<EdgeRouter> {
		const { worker, voices } = this.#options;
		const router = await EdgeRouter.create({
			worker,
			kind,
			voices,
			packingMs: effectivePackingMs(kind, this.#packingMs),
			nowMs: performance.now(),
			onDemand: (index) => this.#current?.setWanted(index, this.#wants(index)),
		});
		if (this.#closed) {
			router.close('room closed');
			throw new SfuError('room_unknown', 'the room closed meanwhile');
		}
		router.setPackingMs(effectivePackingMs(kind, this.#packingMs)); // It may have changed while the router was made.
		if (this.#current) {
			router.setUpstream(this.#current.id);
		}
		this.#ready.push(router);
		return router;
	}

	#closeIdleRouters(nowMs: number, idleMs = IDLE_ROUTER_MS): void {
		for (let i = this.#ready.length - 1; i >= 0 && this.#ready.length > 1; i--) {
			const router = this.#ready[i];
			if (router && router.idleMs(nowMs) > idleMs) {
				this.#ready.splice(i, 1);
				this.#routers.delete(edgeKindKey(router.kind));
				this.#packetsSentByClosed += router.packetsSent;
				router.close('idle');
			}
		}
	}

	async #openIntake(): Promise<Intake> {
		let router: types.Router | undefined;
		try {
			router = await this.#options.worker.createRouter({ mediaCodecs: [opusRouterCodec(STAGE_PAYLOAD_TYPE)] });
			return { router, direct: await router.createDirectTransport() };
		} catch (error) {
			router?.close();
			this.#intake = undefined;
			throw error;
		}
	}
}

/** Offers with one audio section per voice get the voices; those with fewer get one section with the solo voice. */
function readOffer(sdp: string, voices: number): ListenOffer {
	const offer = parseListenOffer(sdp, { voices });
	return offer.audio.length === voices ? offer : parseListenOffer(sdp, { voices: 1 });
}

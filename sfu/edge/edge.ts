import type { types } from 'mediasoup';
import type { Logger } from 'pino';
import type { LinkedVoice, LinkEndpoint, PackingMs } from '../contract/media-types.ts';
import { shownSession } from '../contract/session-id.ts';
import { SfuError } from '../contract/sfu-error.ts';
import type { LinkStats, SessionAnswer, ShardEventName, ShardEvents } from '../contract/shard-protocol.ts';
import { Downstreams, type LinkSource } from '../link/downstreams.ts';
import type { LinkPorts } from '../link/link-ports.ts';
import { Upstreams } from '../link/upstreams.ts';
import type { SessionTable } from '../session/session-table.ts';
import type { TransportFactory } from '../session/web-rtc-server.ts';
import { asSfuError } from '../whep/as-sfu-error.ts';
import { type ListenOffer, parseListenOffer } from '../whep/listen-offer.ts';
import { edgeKindOf, RELAY_KIND } from './edge-kind.ts';
import { EdgeRouters } from './edge-routers.ts';
import type { EdgeTap } from './edge-tap.ts';
import { parseVoicePacket } from './edge-voice.ts';
import { ListenerSession } from './listener-session.ts';

/** A room of a hundred may be one of a thousand in a moment; one of three hardly. */
const CROWD_TIMES = 10;

export interface EdgeOptions {
	worker: types.Worker;
	roomId: string;
	voices: number;
	packingMs: PackingMs;
	transports: TransportFactory;
	sessions: SessionTable;
	link: LinkPorts;
	maxDownstreams: number;
	log: Logger;
	emit: <N extends ShardEventName>(name: N, data: ShardEvents[N]) => void;
}

/**
 * A room on a listener shard. The programme comes in over one replaceable upstream link, is taken apart
 * once, and goes out through an edge router for each kind of client (see `EdgeKind`). Listeners hang on the
 * edge's own voices, so that a new link, another origin or a changed packing touches none of them. So do
 * edges that are linked to this one: it relays.
 */
export class Edge {
	readonly #options: EdgeOptions;
	readonly #log: Logger;
	readonly #routers: EdgeRouters;
	readonly #downstreams: Downstreams;
	readonly #upstreams: Upstreams;
	#packetsReceived = 0;
	#listeners = 0;
	#expected = 0;
	#closed = false;

	static create(options: EdgeOptions): Edge {
		return new Edge(options);
	}

	private constructor(options: EdgeOptions) {
		const { worker, roomId, voices, packingMs, transports, link, maxDownstreams, log, emit } = options;
		this.#options = options;
		this.#log = log.child({ room: roomId });
		this.#routers = new EdgeRouters({
			worker,
			voices,
			packingMs,
			onDemand: (index) => this.#upstreams.fetch(index),
			transports,
			log: this.#log,
		});
		this.#upstreams = new Upstreams({
			worker,
			streams: voices + 1,
			ports: link,
			wanted: (index) => this.#routers.wants(index),
			onPacket: (index, packet, nowMs) => this.#onUpstreamPacket(index, packet, nowMs),
			onReplaced: (linkId) => this.#routers.setUpstream(linkId),
			onWord: (word, linkId) => emit(`link.${word}`, { roomId, linkId }),
			log: this.#log,
		});
		this.#downstreams = new Downstreams({ ports: link, max: maxDownstreams, log: this.#log, source: () => this.#relay() });
	}

	/** Without solo. */
	get voices(): number {
		return this.#options.voices;
	}
	get listeners(): number {
		return this.#listeners;
	}
	/** Made ahead for a crowd, and waiting. */
	get spareTransports(): number {
		return this.#routers.spareTransports;
	}
	get packetsReceived(): number {
		return this.#packetsReceived;
	}
	get packetsSent(): number {
		return this.#routers.packetsSent;
	}
	/** How the link fares over which the programme comes. */
	get linkStats(): LinkStats | undefined {
		const stats = this.#upstreams.stats(performance.now());
		return stats && { roomId: this.#options.roomId, ...stats };
	}

	setPackingMs(packingMs: PackingMs): void {
		this.#routers.setPackingMs(packingMs);
	}

	/** WHEP: everything a listener will ever need from the server, in one go. */
	async join(sessionId: string, offerSdp: string, packingMs: PackingMs | undefined): Promise<SessionAnswer> {
		const { voices } = this.#options;
		const offer = asSfuError('bad_offer', () => readOffer(offerSdp, voices));
		const kind = edgeKindOf(offer.opusPayloadType, offer.maxPackingMs, packingMs);
		const takesAll = offer.audio.length === voices;
		const { router, spare } = (takesAll ? this.#routers.takeSpare(kind) : undefined) ?? { router: await this.#routers.require(kind), spare: undefined };
		const session = await ListenerSession.create({
			id: sessionId,
			offer,
			router,
			spare,
			// Fewer sections than voices cannot carry the programme; one voice with whoever dominates can.
			voiceIndices: takesAll ? offer.audio.map((_, index) => index) : [voices],
			transports: this.#options.transports,
			sessions: this.#options.sessions,
			onClosed: (reason) => {
				this.#listeners--;
				this.#log.debug({ session: shownSession(sessionId), reason }, 'listener left');
			},
		});
		this.#listeners++;
		if (this.#closed) {
			session.close('room closed');
			throw new SfuError('room_unknown', 'the room closed while the session was made');
		}
		return { sdp: session.answer, etag: session.etag };
	}

	/** The sending half of a link to an edge behind this one; see `Downstreams.create`. */
	createDownstream(linkId: string, remote: LinkEndpoint): Promise<LinkEndpoint & { voices: LinkedVoice[] }> {
		return this.#downstreams.create(linkId, remote);
	}

	closeDownstream(linkId: string, reason: string): void {
		this.#downstreams.close(linkId, reason);
	}

	/** From now on the tap is told of every packet of the voices, whatever becomes of the link. */
	addTap(tap: EdgeTap): void {
		this.#routers.addTap(tap);
	}

	removeTap(tap: EdgeTap): void {
		this.#routers.removeTap(tap);
	}

	/** First half of a link; see `Upstreams.create`. */
	createUpstream(linkId: string, srtp: boolean): Promise<LinkEndpoint> {
		return this.#upstreams.create(linkId, srtp);
	}

	/** Second half; see `Upstreams.connect`. */
	connectUpstream(linkId: string, remote: LinkEndpoint, voices: readonly LinkedVoice[]): Promise<void> {
		return this.#upstreams.connect(linkId, remote, voices);
	}

	closeUpstream(linkId: string, reason: string): void {
		this.#upstreams.close(linkId, reason);
	}

	/** How many listeners may come here at the most, as far as anybody knows. */
	expect(listeners: number): void {
		this.#expected = listeners;
	}

	/**
	 * @param spareTransports how many this room may have ready for a crowd
	 * @param busy no time to make any now
	 */
	tick(nowMs: number, spareTransports: number, busy: boolean): void {
		this.#routers.tick(nowMs);
		this.#upstreams.tick(nowMs);
		this.#routers.prepare(Math.min(spareTransports, Math.max(CROWD_TIMES * this.#listeners, this.#expected - this.#listeners)), nowMs, busy);
	}

	close(reason: string): void {
		if (this.#closed) {
			return;
		}
		this.#closed = true;
		this.#upstreams.closeAll(reason);
		this.#downstreams.closeAll(reason);
		this.#routers.close(reason);
	}

	/** The packet path: parsed once, whatever the number of edge routers. */
	#onUpstreamPacket(index: number, packet: Buffer, nowMs: number): void {
		this.#packetsReceived++;
		const parsed = parseVoicePacket(packet);
		if (parsed) {
			this.#routers.onVoicePacket(index, parsed, nowMs);
		}
	}

	/**
	 * What links begin at here: voices of this edge's own, so that edges behind it notice nothing of a new upstream. While
	 * there is one such link all voices and solo are fetched, for nobody here knows which of them are taken behind it.
	 */
	async #relay(): Promise<LinkSource> {
		const relay = await this.#routers.require(RELAY_KIND);
		const { producerIds } = relay;
		const all = producerIds.map((_, index) => index);
		relay.addTaker(all);
		return { router: relay.router, producerIds, release: () => relay.removeTaker(all) };
	}
}

/** Offers with one audio section per voice get the voices; those with fewer get one section with the solo voice. */
function readOffer(sdp: string, voices: number): ListenOffer {
	const offer = parseListenOffer(sdp, { voices });
	return offer.audio.length === voices ? offer : parseListenOffer(sdp, { voices: 1 });
}

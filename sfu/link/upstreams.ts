import type { types } from 'mediasoup';
import type { Logger } from 'pino';
import type { LinkedVoice, LinkEndpoint } from '../contract/media-types.ts';
import { SfuError } from '../contract/sfu-error.ts';
import type { LinkStats } from '../contract/shard-protocol.ts';
import { opusRouterCodec, STAGE_PAYLOAD_TYPE } from '../rtp/opus-codec.ts';
import type { LinkPorts } from './link-ports.ts';
import { StallWatch } from './stall-watch.ts';
import { UpstreamLink } from './upstream-link.ts';

/** How often the worker is asked how the link fares. */
const MEASURE_MS = 5_000;

export interface UpstreamsOptions {
	worker: types.Worker;
	/** Streams of the programme: voices and solo. */
	streams: number;
	ports: LinkPorts;
	/** Whether anybody takes this stream. */
	wanted: (index: number) => boolean;
	/** Packets of the current link, as they came; `performance.now()`. */
	onPacket: (index: number, packet: Buffer, nowMs: number) => void;
	/** Another link brings the programme from now on. */
	onReplaced: (linkId: string) => void;
	/** Nothing has come over the current link for a while, said again every second; or something comes again. */
	onWord: (word: 'stalled' | 'flowing', linkId: string) => void;
	log: Logger;
}

interface Intake {
	router: types.Router;
	direct: types.DirectTransport;
}

/** The link whose packets are taken. */
interface Current {
	link: UpstreamLink;
	watch: StallWatch;
	measureDueMs: number;
}

/** The links by which the programme comes to an edge: one that brings it, and such as are to take its place. */
export class Upstreams {
	readonly #options: UpstreamsOptions;
	/** Oldest first. */
	readonly #links = new Map<string, UpstreamLink>();
	/** Links whose first half is being made, each with a mark of the attempt that counts. */
	readonly #making = new Map<string, symbol>();
	#intake: Promise<Intake> | undefined;
	#current: Current | undefined;
	#closed = false;

	constructor(options: UpstreamsOptions) {
		this.#options = options;
	}

	/** How the current link fares. */
	stats(nowMs: number): Omit<LinkStats, 'roomId'> | undefined {
		return this.#current?.link.stats(nowMs);
	}

	/** First half of a link. Rejects with SfuError `room_unknown` when it was closed or made again meanwhile, or `wrong_role`; see `UpstreamLink`. */
	async create(linkId: string, srtp: boolean): Promise<LinkEndpoint> {
		this.close(linkId, 'made again');
		if (this.#closed) {
			throw gone();
		}
		const attempt = Symbol(linkId);
		this.#making.set(linkId, attempt);
		const counts = () => this.#making.get(linkId) === attempt;
		const { streams, ports, wanted, onPacket } = this.#options;
		try {
			const { router, direct } = await (this.#intake ??= this.#openIntake());
			const link: UpstreamLink = await UpstreamLink.create({
				router,
				direct,
				linkId,
				srtp,
				ports,
				streams,
				wanted,
				onPacket: (index, packet, nowMs) => {
					if (this.#current?.link === link) {
						onPacket(index, packet, nowMs);
					}
				},
			});
			if (!counts()) {
				link.close();
				throw gone();
			}
			this.#links.set(linkId, link);
			return link.local;
		} catch (error) {
			// Whatever the worker says of something that was closed under it, that is the reason.
			throw counts() || error instanceof SfuError ? error : gone(error);
		} finally {
			if (counts()) {
				this.#making.delete(linkId);
			}
		}
	}

	/**
	 * Second half: from now on the programme comes over this link, and every older one is closed. An older one
	 * whose connection comes through late finds itself closed, so that the newest wins in any order.
	 * Rejects with SfuError `bad_rtp`, or `room_unknown` when there is no such link (any more).
	 */
	async connect(linkId: string, remote: LinkEndpoint, voices: readonly LinkedVoice[]): Promise<void> {
		const link = this.#links.get(linkId);
		if (!link) {
			throw gone();
		}
		try {
			await link.connect(remote, voices);
		} catch (error) {
			if (this.#links.get(linkId) !== link) {
				throw gone(error);
			}
			this.close(linkId, 'could not be connected');
			throw error;
		}
		if (this.#links.get(linkId) !== link) {
			link.close();
			throw gone();
		}
		const nowMs = performance.now();
		this.#current = { link, watch: new StallWatch(nowMs), measureDueMs: nowMs };
		this.#options.onReplaced(linkId);
		link.fetchWanted();
		for (const id of this.#links.keys()) {
			if (id === linkId) {
				break;
			}
			this.close(id, 'replaced');
		}
	}

	/** Also takes back one that is being made. */
	close(linkId: string, reason: string): void {
		this.#making.delete(linkId);
		const link = this.#links.get(linkId);
		if (link) {
			this.#links.delete(linkId);
			if (this.#current?.link === link) {
				this.#current = undefined;
			}
			this.#options.log.debug({ link: linkId, reason }, 'upstream closed');
			link.close();
		}
	}

	/** Somebody takes this stream now, or nobody any more. */
	fetch(index: number): void {
		this.#current?.link.setWanted(index, this.#options.wanted(index));
	}

	tick(nowMs: number): void {
		const current = this.#current;
		if (!current) {
			return;
		}
		const { link, watch } = current;
		const word = watch.look(link.packets, link.isFetching, nowMs);
		if (word) {
			this.#options.onWord(word, link.id);
		}
		if (nowMs >= current.measureDueMs) {
			current.measureDueMs = nowMs + MEASURE_MS;
			void link.measure();
		}
	}

	/** For good. */
	closeAll(reason: string): void {
		this.#closed = true;
		this.#making.clear();
		for (const linkId of this.#links.keys()) {
			this.close(linkId, reason);
		}
		this.#intake?.then(({ router }) => router.close()).catch(() => undefined);
	}

	/** The router that links arrive on. */
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

const gone = (cause?: unknown) => new SfuError('room_unknown', 'there is no such link at this edge (any more)', { cause });

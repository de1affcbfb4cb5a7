import type { types } from 'mediasoup';
import type { LinkedVoice, LinkEndpoint } from '../contract/media-types.ts';
import { SfuError } from '../contract/sfu-error.ts';
import type { LinkStats } from '../contract/shard-protocol.ts';
import { SAMPLES_PER_MS } from '../rtp/opus-packet.ts';
import { RTP_HEADER_BYTES } from '../rtp/rtp-packet.ts';
import { endpointOf, readEndpoint, readLinkedVoices } from './link-endpoint.ts';
import { LinkLag } from './link-lag.ts';
import { type LinkPorts, linkListenInfo } from './link-ports.ts';

export interface UpstreamOptions {
	/** Of the edge: the router that links arrive on. */
	router: types.Router;
	direct: types.DirectTransport;
	linkId: string;
	ports: LinkPorts;
	/** For a link that leaves the host. */
	srtp: boolean;
	/** Streams of the programme: voices and solo. */
	streams: number;
	/** Streams that nobody takes are not fetched from the worker; see `setWanted`. */
	wanted: (index: number) => boolean;
	/** Packets of the programme's stream with this index, as they came; `performance.now()`. */
	onPacket: (index: number, packet: Buffer, nowMs: number) => void;
}

/** One stream of the programme at this end. */
interface Tap {
	readonly producer: types.Producer;
	readonly consumer: types.Consumer;
	readonly lag: LinkLag;
	lastPacketAtMs: number;
}

/** Asked of the worker every few seconds; see `LinkStats`. */
type Measured = Pick<LinkStats, 'packetsTotal' | 'lostTotal' | 'jitterMs'>;

/** A stream that has been silent for longer says nothing of the link's lag. */
const FRESH_MS = 5_000;
const RTP_TIMESTAMP_BYTE = 4;

/**
 * The receiving half of a link. It can be replaced by another one at any time without the listeners
 * noticing more than a short silence: nothing of theirs hangs on it.
 */
export class UpstreamLink {
	readonly id: string;
	readonly local: LinkEndpoint;
	readonly #options: UpstreamOptions;
	readonly #transport: types.PipeTransport;
	readonly #taps = new Map<number, Tap>();
	/** Streams being fetched, as last asked of the worker. */
	readonly #fetched = new Set<number>();
	#packets = 0;
	#measured: Measured = { packetsTotal: 0, lostTotal: 0, jitterMs: 0 };
	#measuring = false;
	/** When something was last known to have come, whether it was fetched or not. */
	#heardAtMs = performance.now();
	#closed = false;

	/** @throws SfuError `wrong_role` when it would leave the host and may not */
	static async create(options: UpstreamOptions): Promise<UpstreamLink> {
		const transport = await options.router.createPipeTransport({
			listenInfo: linkListenInfo(options.ports, options.srtp),
			enableSrtp: options.srtp,
			enableSctp: false,
		});
		return new UpstreamLink(options, transport);
	}

	private constructor(options: UpstreamOptions, transport: types.PipeTransport) {
		this.#options = options;
		this.#transport = transport;
		this.id = options.linkId;
		this.local = endpointOf(transport, options.ports);
	}

	/** That were fetched. */
	get packets(): number {
		return this.#packets;
	}
	/** Whether packets must come, if the link is well: a link of which nothing is fetched is never late. */
	get isFetching(): boolean {
		return this.#fetched.size > 0;
	}

	/** Every packet fetched from the worker is a wake-up of this process, so fetch what somebody takes. */
	setWanted(index: number, wanted: boolean): void {
		const consumer = this.#taps.get(index)?.consumer;
		if (!consumer || consumer.closed || this.#fetched.has(index) === wanted) {
			return;
		}
		if (wanted) {
			this.#fetched.add(index);
		} else {
			this.#fetched.delete(index);
		}
		// A tap that closes meanwhile needs neither.
		(wanted ? consumer.resume() : consumer.pause()).catch(() => undefined);
	}

	/** Fetches what is wanted now; for when that may have changed unheard. */
	fetchWanted(): void {
		for (const index of this.#taps.keys()) {
			this.setWanted(index, this.#options.wanted(index));
		}
	}

	/**
	 * Takes the other end's address and streams; packets flow when it resolves.
	 * @throws SfuError `bad_rtp`
	 */
	async connect(said: LinkEndpoint, linked: readonly LinkedVoice[]): Promise<void> {
		const { streams, srtp } = this.#options;
		const remote = readEndpoint(said);
		const voices = readLinkedVoices(linked, streams);
		if ((remote.srtpParameters !== undefined) !== srtp) {
			throw new SfuError('bad_rtp', 'one end of the link has SRTP keys and the other has none');
		}
		await this.#transport.connect(remote);
		await Promise.all(voices.map((voice) => this.#tap(voice)));
		this.fetchWanted(); // It may have changed on the way.
		this.#heardAtMs = performance.now();
	}

	/** Asks the worker how the streams fare, those that are not fetched too. Never rejects. */
	async measure(): Promise<void> {
		if (this.#measuring || this.#closed) {
			return;
		}
		this.#measuring = true;
		try {
			const streams = (await Promise.all([...this.#taps.values()].map(({ producer }) => producer.getStats()))).flat();
			const packetsTotal = streams.reduce((sum, { packetCount }) => sum + packetCount, 0);
			if (packetsTotal > this.#measured.packetsTotal) {
				this.#heardAtMs = performance.now();
			}
			this.#measured = {
				packetsTotal,
				lostTotal: streams.reduce((sum, { packetsLost }) => sum + Math.max(0, packetsLost), 0),
				jitterMs: Math.max(0, ...streams.map(({ jitter }) => jitter)) / SAMPLES_PER_MS,
			};
		} catch {
			// Closed meanwhile, or the worker is dying: either is told elsewhere.
		} finally {
			this.#measuring = false;
		}
	}

	stats(nowMs: number): Omit<LinkStats, 'roomId'> {
		let heardAtMs = this.#heardAtMs;
		// Queueing delays all streams alike; what only one shows is its talker's own pacing, as after an onset sent in one go.
		let lagMs = Infinity;
		for (const { lag, lastPacketAtMs } of this.#taps.values()) {
			heardAtMs = Math.max(heardAtMs, lastPacketAtMs);
			if (nowMs - lastPacketAtMs < FRESH_MS) {
				lagMs = Math.min(lagMs, lag.lagMs);
			}
		}
		return { linkId: this.id, ...this.#measured, lagMs: lagMs === Infinity ? 0 : lagMs, silentMs: Math.max(0, nowMs - heardAtMs) };
	}

	/** Idempotent; closes the taps with it. */
	close(): void {
		if (!this.#closed) {
			this.#closed = true;
			this.#transport.close();
		}
	}

	async #tap({ index, rtpParameters }: LinkedVoice): Promise<void> {
		const { direct, router, onPacket, wanted } = this.#options;
		const producer = await this.#transport.produce({ kind: 'audio', rtpParameters });
		const fetch = wanted(index);
		const consumer = await direct.consume({ producerId: producer.id, rtpCapabilities: router.rtpCapabilities, paused: !fetch });
		const tap: Tap = { producer, consumer, lag: new LinkLag(), lastPacketAtMs: -Infinity };
		this.#taps.set(index, tap);
		if (fetch) {
			this.#fetched.add(index);
		}
		consumer.on('rtp', (packet) => {
			const nowMs = performance.now();
			this.#packets++;
			tap.lastPacketAtMs = nowMs;
			if (packet.length >= RTP_HEADER_BYTES) {
				tap.lag.onPacket(packet.readUInt32BE(RTP_TIMESTAMP_BYTE), nowMs);
			}
			onPacket(index, packet, nowMs);
		});
	}
}

import type { types } from 'mediasoup';
import type { LinkedVoice, LinkEndpoint } from '../contract/media-types.ts';
import { endpointOf } from './downstream-link.ts';
import { type LinkPorts, linkListenInfo } from './link-ports.ts';

export interface UpstreamOptions {
	/** Of the edge: the router that links arrive on. */
	router: types.Router;
	direct: types.DirectTransport;
	linkId: string;
	ports: LinkPorts;
	srtp: boolean;
	/** Streams that nobody takes are not fetched from the worker; see `setWanted`. */
	wanted: (index: number) => boolean;
	/** Packets of the programme's stream with this index, as they came. */
	onPacket: (index: number, packet: Buffer) => void;
}

/**
 * The receiving half of a link. It can be replaced by another one at any time without the listeners
 * noticing more than a short silence: nothing of theirs hangs on it.
 */
export class UpstreamLink {
	readonly id: string;
	readonly local: LinkEndpoint;
	readonly #options: UpstreamOptions;
	readonly #transport: types.PipeTransport;
	readonly #taps = new Map<number, types.Consumer>();
	/** Streams being fetched, as last asked of the worker. */
	readonly #fetched = new Set<number>();
	#lastPacketAtMs = performance.now();
	#packets = 0;
	#connected = false;
	#closed = false;

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
		this.local = endpointOf(transport);
	}

	get isConnected(): boolean {
		return this.#connected;
	}
	get packets(): number {
		return this.#packets;
	}
	/** When something last came, keep-alives included; `performance.now()`. A link of which nothing is fetched is never late. */
	lastPacketAtMs(nowMs: number): number {
		return this.#fetched.size === 0 ? nowMs : this.#lastPacketAtMs;
	}

	/** Every packet fetched from the worker is a wake-up of this process, so fetch what somebody takes. */
	setWanted(index: number, wanted: boolean): void {
		const tap = this.#taps.get(index);
		if (!tap || tap.closed || this.#fetched.has(index) === wanted) {
			return;
		}
		if (wanted) {
			this.#fetched.add(index);
		} else {
			this.#fetched.delete(index);
		}
		this.#lastPacketAtMs = performance.now();
		// A tap that closes meanwhile needs neither.
		(wanted ? tap.resume() : tap.pause()).catch(() => undefined);
	}

	/** Takes the other end's address and streams; packets flow when it resolves. */
	async connect(remote: LinkEndpoint, voices: readonly LinkedVoice[]): Promise<void> {
		const { direct, router, onPacket, wanted } = this.#options;
		await this.#transport.connect({ ip: remote.ip, port: remote.port, ...(remote.srtpParameters ? { srtpParameters: remote.srtpParameters } : {}) });
		await Promise.all(
			voices.map(async ({ index, rtpParameters }) => {
				const producer = await this.#transport.produce({ kind: 'audio', rtpParameters });
				const fetch = wanted(index);
				const tap = await direct.consume({ producerId: producer.id, rtpCapabilities: router.rtpCapabilities, paused: !fetch });
				this.#taps.set(index, tap);
				if (fetch) {
					this.#fetched.add(index);
				}
				tap.on('rtp', (packet) => {
					this.#packets++;
					this.#lastPacketAtMs = performance.now();
					onPacket(index, packet);
				});
			}),
		);
		for (const { index } of voices) {
			this.setWanted(index, wanted(index)); // It may have changed on the way.
		}
		this.#lastPacketAtMs = performance.now();
		this.#connected = true;
	}

	/** Idempotent; closes the taps with it. */
	close(): void {
		if (!this.#closed) {
			this.#closed = true;
			this.#transport.close();
		}
	}
}

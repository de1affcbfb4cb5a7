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
	/** When something last came, keep-alives included; `performance.now()`. */
	get lastPacketAtMs(): number {
		return this.#lastPacketAtMs;
	}

	/** Takes the other end's address and streams; packets flow when it resolves. */
	async connect(remote: LinkEndpoint, voices: readonly LinkedVoice[]): Promise<void> {
		const { direct, router, onPacket } = this.#options;
		await this.#transport.connect({ ip: remote.ip, port: remote.port, ...(remote.srtpParameters ? { srtpParameters: remote.srtpParameters } : {}) });
		await Promise.all(
			voices.map(async ({ index, rtpParameters }) => {
				const producer = await this.#transport.produce({ kind: 'audio', rtpParameters });
				const tap = await direct.consume({ producerId: producer.id, rtpCapabilities: router.rtpCapabilities });
				tap.on('rtp', (packet) => {
					this.#packets++;
					this.#lastPacketAtMs = performance.now();
					onPacket(index, packet);
				});
			}),
		);
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

import type { types } from 'mediasoup';
import type { LinkedVoice, LinkEndpoint } from '../contract/media-types.ts';
import { endpointOf } from './link-endpoint.ts';
import { type LinkPorts, linkListenInfo } from './link-ports.ts';

export interface DownstreamOptions {
	router: types.Router;
	/** The programme's streams in order: voices, then solo. */
	producerIds: readonly string[];
	ports: LinkPorts;
	/** The edge's end, listening already; see `readEndpoint`. */
	remote: LinkEndpoint;
}

/** The sending half of a link: one PipeTransport with a consumer for each voice of the programme. */
export class DownstreamLink {
	readonly #transport: types.PipeTransport;
	readonly voices: LinkedVoice[];
	readonly local: LinkEndpoint;

	/** All or nothing: whatever fails, the transport with everything on it is closed again. */
	static async create({ router, producerIds, ports, remote }: DownstreamOptions): Promise<DownstreamLink> {
		const enableSrtp = remote.srtpParameters !== undefined;
		const transport = await router.createPipeTransport({ listenInfo: linkListenInfo(ports, enableSrtp), enableSrtp, enableSctp: false });
		try {
			await transport.connect(remote);
			const consumers = await Promise.all(producerIds.map((producerId) => transport.consume({ producerId })));
			return new DownstreamLink(
				transport,
				consumers.map(({ rtpParameters }, index) => ({ index, rtpParameters })),
				endpointOf(transport, ports),
			);
		} catch (error) {
			transport.close();
			throw error;
		}
	}

	private constructor(transport: types.PipeTransport, voices: LinkedVoice[], local: LinkEndpoint) {
		this.#transport = transport;
		this.voices = voices;
		this.local = local;
	}

	close(): void {
		this.#transport.close();
	}
}

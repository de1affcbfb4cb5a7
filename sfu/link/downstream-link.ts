import type { types } from 'mediasoup';
import type { LinkedVoice, LinkEndpoint } from '../contract/media-types.ts';
import { type LinkPorts, linkListenInfo } from './link-ports.ts';

export interface DownstreamOptions {
	router: types.Router;
	/** The programme's streams in order: voices, then solo. */
	producers: readonly types.Producer[];
	ports: LinkPorts;
	/** The edge's end, listening already. */
	remote: LinkEndpoint;
}

/** The sending half of a link: one PipeTransport with a consumer for each voice of the programme. */
export class DownstreamLink {
	readonly #transport: types.PipeTransport;
	readonly voices: LinkedVoice[];
	readonly local: LinkEndpoint;

	/** All or nothing: whatever fails, the transport with everything on it is closed again. */
	static async create({ router, producers, ports, remote }: DownstreamOptions): Promise<DownstreamLink> {
		const enableSrtp = remote.srtpParameters !== undefined;
		const transport = await router.createPipeTransport({ listenInfo: linkListenInfo(ports, enableSrtp), enableSrtp, enableSctp: false });
		try {
			await transport.connect({ ip: remote.ip, port: remote.port, ...(remote.srtpParameters ? { srtpParameters: remote.srtpParameters } : {}) });
			const consumers = await Promise.all(producers.map(({ id }) => transport.consume({ producerId: id })));
			return new DownstreamLink(
				transport,
				consumers.map(({ rtpParameters }, index) => ({ index, rtpParameters })),
			);
		} catch (error) {
			transport.close();
			throw error;
		}
	}

	private constructor(transport: types.PipeTransport, voices: LinkedVoice[]) {
		this.#transport = transport;
		this.voices = voices;
		this.local = endpointOf(transport);
	}

	close(): void {
		this.#transport.close();
	}
}

/** Where a PipeTransport listens, with its SRTP keys if it has any. */
export function endpointOf(transport: types.PipeTransport): LinkEndpoint {
	const { localAddress, localPort } = transport.tuple;
	return { ip: localAddress, port: localPort, ...(transport.srtpParameters ? { srtpParameters: transport.srtpParameters } : {}) };
}

import type { types } from 'mediasoup';
import type { Logger } from 'pino';
import type { LinkedVoice, LinkEndpoint } from '../contract/media-types.ts';
import { SfuError } from '../contract/sfu-error.ts';
import { DownstreamLink } from './downstream-link.ts';
import { readEndpoint } from './link-endpoint.ts';
import type { LinkPorts } from './link-ports.ts';

/** What links of a room begin at, as one link uses it. */
export interface LinkSource {
	router: types.Router;
	/** The programme's streams in order: voices, then solo. */
	producerIds: readonly string[];
	/** Called once, when the link that asked is no more. */
	release?: () => void;
}

export interface DownstreamsOptions {
	/** Asked once for each link. */
	source: () => LinkSource | Promise<LinkSource>;
	ports: LinkPorts;
	/** Links at once, those under way among them. */
	max: number;
	log: Logger;
}

interface Downstream {
	link: DownstreamLink;
	source: LinkSource;
}

/** The links that begin at one origin or one relaying edge. */
export class Downstreams {
	readonly #options: DownstreamsOptions;
	readonly #links = new Map<string, Downstream>();
	/** Links that are being made, each with a mark of the attempt that counts. */
	readonly #making = new Map<string, symbol>();
	#closed = false;

	constructor(options: DownstreamsOptions) {
		this.#options = options;
	}

	/**
	 * The sending half of a link: made towards an edge that already listens at `remote`. One of the same id is replaced.
	 * @throws SfuError `bad_rtp`, `link_full`, or `room_unknown` when it was closed or made again meanwhile
	 */
	async create(linkId: string, remote: LinkEndpoint): Promise<LinkEndpoint & { voices: LinkedVoice[] }> {
		const { ports, max } = this.#options;
		const endpoint = readEndpoint(remote);
		this.close(linkId, 'made again');
		if (this.#closed) {
			throw gone();
		}
		if (this.#links.size + this.#making.size >= max) {
			throw new SfuError('link_full', 'as many links begin here as may');
		}
		const attempt = Symbol(linkId);
		this.#making.set(linkId, attempt);
		const counts = () => this.#making.get(linkId) === attempt;
		let source: LinkSource | undefined;
		try {
			source = await this.#options.source();
			if (!counts()) {
				throw gone();
			}
			const { router, producerIds } = source;
			const link = await DownstreamLink.create({ router, producerIds, ports, remote: endpoint });
			if (!counts()) {
				link.close();
				throw gone();
			}
			this.#links.set(linkId, { link, source });
			return { ...link.local, voices: link.voices };
		} catch (error) {
			source?.release?.();
			// Whatever the worker says of something that was closed under it, that is the reason.
			throw counts() || error instanceof SfuError ? error : gone(error);
		} finally {
			if (counts()) {
				this.#making.delete(linkId);
			}
		}
	}

	/** Also takes back one that is being made. */
	close(linkId: string, reason: string): void {
		this.#making.delete(linkId);
		const downstream = this.#links.get(linkId);
		if (downstream) {
			this.#links.delete(linkId);
			this.#options.log.debug({ link: linkId, reason }, 'downstream closed');
			downstream.link.close();
			downstream.source.release?.();
		}
	}

	/** For good. */
	closeAll(reason: string): void {
		this.#closed = true;
		this.#making.clear();
		for (const linkId of this.#links.keys()) {
			this.close(linkId, reason);
		}
	}
}

const gone = (cause?: unknown) => new SfuError('room_unknown', 'the link was closed or made again while it was made', { cause });

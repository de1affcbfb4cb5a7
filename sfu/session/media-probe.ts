import type { types } from 'mediasoup';
import { SfuError } from '../contract/sfu-error.ts';
import type { MediaProbe } from '../contract/shard-protocol.ts';
import type { TransportFactory } from './web-rtc-server.ts';

/** More at once than all nodes of a large fleet ask for. */
const MAX_OPEN = 64;

/**
 * Transports without media, that last for a moment: a WebRtcServer drops STUN requests whose name it does not know, so
 * whoever wants to know whether a media port can be reached needs one that it does.
 */
export class MediaProbes {
	readonly #worker: types.Worker;
	#open = 0;

	constructor(worker: types.Worker) {
		this.#worker = worker;
	}

	async open(transports: TransportFactory, openMs: number): Promise<MediaProbe> {
		if (this.#open >= MAX_OPEN) {
			throw new SfuError('shard_full', 'too many look at this media port at once');
		}
		this.#open++;
		let router: types.Router | undefined;
		try {
			const made = await this.#worker.createRouter();
			router = made;
			made.observer.once('close', () => this.#open--);
			const { iceParameters, iceCandidates } = await transports(made);
			setTimeout(() => made.close(), openMs).unref();
			return { iceParameters, iceCandidates };
		} catch (error) {
			if (router) {
				router.close();
			} else {
				this.#open--;
			}
			throw error;
		}
	}
}

import { once } from 'node:events';
import { randomBytes } from 'node:crypto';
import { Worker as Thread } from 'node:worker_threads';
import type { types } from 'mediasoup';
import type { PackingMs } from '../contract/media-types.ts';
import { edgeKindOf } from '../edge/edge-kind.ts';
import { EdgeRouter } from '../edge/edge-router.ts';
import { STAGE_PAYLOAD_TYPE } from '../rtp/opus-codec.ts';
import { UNCLAIMED_LISTEN_INFO } from '../session/unclaimed-ports.ts';
import { SYNTHETIC_VOICES } from './synthetic-offer.ts';

/** What Chromium negotiates. */
const CRYPTO_SUITE = 'AEAD_AES_256_GCM';
const KEY_AND_SALT_BYTES = 44;
/** So many are made at once: the worker works them off in order. */
const AT_ONCE = 20;

/**
 * Receivers of a room's three voices that are nobody: each has a transport with SRTP and its consumers, as a listener
 * has, and what it is sent goes to a socket that nobody reads.
 */
export class SyntheticAudience {
	readonly router: EdgeRouter;
	readonly #sink: Thread;
	#closed = false;

	static async gather(worker: types.Worker, receivers: number, packingMs: PackingMs): Promise<SyntheticAudience> {
		const sink = new Thread(new URL('./sink.ts', import.meta.url));
		try {
			const [port] = (await once(sink, 'message')) as [number];
			const router = await EdgeRouter.create({
				worker,
				kind: edgeKindOf(STAGE_PAYLOAD_TYPE, 120, undefined),
				voices: SYNTHETIC_VOICES,
				packingMs,
				nowMs: performance.now(),
				onDemand: () => {},
			});
			const audience = new SyntheticAudience(router, sink);
			try {
				for (let left = receivers; left > 0; left -= AT_ONCE) {
					await Promise.all(Array.from({ length: Math.min(AT_ONCE, left) }, () => seat(router, port)));
				}
				return audience;
			} catch (error) {
				await audience.close();
				throw error;
			}
		} catch (error) {
			await sink.terminate();
			throw error;
		}
	}

	private constructor(router: EdgeRouter, sink: Thread) {
		this.router = router;
		this.#sink = sink;
	}

	async close(): Promise<void> {
		if (!this.#closed) {
			this.#closed = true;
			this.router.close('calibrated');
			await this.#sink.terminate();
		}
	}
}

async function seat(edge: EdgeRouter, port: number): Promise<void> {
	const voices = Array.from({ length: SYNTHETIC_VOICES }, (_, index) => index);
	edge.addTaker(voices);
	const transport = await edge.router.createPlainTransport({
		listenInfo: UNCLAIMED_LISTEN_INFO,
		rtcpMux: true,
		enableSrtp: true,
		srtpCryptoSuite: CRYPTO_SUITE,
	});
	await transport.connect({ ip: '127.0.0.1', port, srtpParameters: { cryptoSuite: CRYPTO_SUITE, keyBase64: randomBytes(KEY_AND_SALT_BYTES).toString('base64') } });
	await Promise.all(voices.map((index) => transport.consume({ producerId: edge.producerId(index), rtpCapabilities: edge.capabilities, enableRtx: false })));
}

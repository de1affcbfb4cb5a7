import { createWorker, type types } from 'mediasoup';
import { SYNTHETIC_OFFER } from '../../sfu/calibration/synthetic-offer.ts';
import { opusRouterCodec, plainOpusCapabilities } from '../../sfu/rtp/opus-codec.ts';
import { writeListenAnswer } from '../../sfu/whep/listen-answer.ts';
import { parseListenOffer } from '../../sfu/whep/listen-offer.ts';
import { workerBinary } from '../../sfu/worker/worker-binary.ts';
import { REHEARSAL_JOINS } from './messages.ts';

const PAYLOAD_TYPE = 111;
export const VOICES = 3;
/** The voices' SSRCs, from here on. */
export const FIRST_SSRC = 1_000;
const REHEARSED_AT_ONCE = 4;
const CAPABILITIES = plainOpusCapabilities(PAYLOAD_TYPE);

/**
 * mediasoup used plainly. One worker, one router; a producer for each voice that takes RTP as it comes, for those who do
 * not talk silent ones; for each listener a WebRTC transport with three consumers.
 */
export class BareFanOut {
	readonly worker: types.Worker;
	/** Where each voice's RTP goes. */
	readonly rtpPorts: readonly number[];
	readonly #webRtcServer: types.WebRtcServer;
	readonly #router: types.Router;
	readonly #producers: readonly types.Producer[];

	static async open(mediaPort: number): Promise<BareFanOut> {
		const workerBin = workerBinary();
		const worker = await createWorker({ logLevel: 'error', ...(workerBin === undefined ? {} : { workerBin }) });
		worker.on('died', () => process.exit(1));
		const webRtcServer = await worker.createWebRtcServer({
			listenInfos: (['udp', 'tcp'] as const).map((protocol) => ({ protocol, ip: '127.0.0.1', port: mediaPort })),
		});
		const router = await worker.createRouter({ mediaCodecs: [opusRouterCodec(PAYLOAD_TYPE)] });
		// One for each voice, for each latches on to the first address it hears.
		const plain = await Promise.all(Array.from({ length: VOICES }, () => router.createPlainTransport({ listenInfo: { protocol: 'udp', ip: '127.0.0.1' }, rtcpMux: true, comedia: true })));
		const producers = await Promise.all(
			plain.map((transport, voice) =>
				transport.produce({
					kind: 'audio',
					rtpParameters: {
						codecs: [{ mimeType: 'audio/opus', payloadType: PAYLOAD_TYPE, clockRate: 48_000, channels: 2 }],
						encodings: [{ ssrc: FIRST_SSRC + voice }],
					},
				}),
			),
		);
		return new BareFanOut(worker, webRtcServer, router, plain.map(({ tuple }) => tuple.localPort), producers);
	}

	private constructor(worker: types.Worker, webRtcServer: types.WebRtcServer, router: types.Router, rtpPorts: readonly number[], producers: readonly types.Producer[]) {
		this.worker = worker;
		this.#webRtcServer = webRtcServer;
		this.#router = router;
		this.rtpPorts = rtpPorts;
		this.#producers = producers;
	}

	async seat(sdp: string): Promise<{ transport: types.WebRtcTransport; answer: string }> {
		const offer = parseListenOffer(sdp, { voices: VOICES });
		const transport = await this.#router.createWebRtcTransport({ webRtcServer: this.#webRtcServer, enableUdp: true, enableTcp: true, preferUdp: true });
		const midOf = (voice: number): string => offer.audio[voice]?.mid ?? String(voice);
		const [, ...consumers] = await Promise.all([
			transport.connect({ dtlsParameters: offer.dtlsParameters }),
			...this.#producers.map((producer, voice) => transport.consume({ producerId: producer.id, rtpCapabilities: CAPABILITIES, mid: midOf(voice), enableRtx: false })),
		]);
		const { iceParameters, iceCandidates, dtlsParameters } = transport;
		const streams = consumers.map(({ rtpParameters }, voice) => ({ mid: midOf(voice), ssrc: rtpParameters.encodings?.[0]?.ssrc ?? 0, cname: `voice-${voice}`, trackId: `voice-${voice}` }));
		return { transport, answer: writeListenAnswer({ offer, iceParameters, iceCandidates, dtlsParameters, streams }) };
	}

	/** As Rostrum's shards do: else code that is not compiled yet would be compared with code that is. */
	async rehearse(): Promise<void> {
		for (let done = 0; done < REHEARSAL_JOINS; done += REHEARSED_AT_ONCE) {
			const seats = await Promise.all(Array.from({ length: REHEARSED_AT_ONCE }, () => this.seat(SYNTHETIC_OFFER)));
			for (const { transport } of seats) {
				transport.close();
			}
		}
	}
}

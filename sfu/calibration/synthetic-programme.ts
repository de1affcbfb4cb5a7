import { randomBytes } from 'node:crypto';
import type { types } from 'mediasoup';
import type { Edge } from '../edge/edge.ts';
import { DownstreamLink } from '../link/downstream-link.ts';
import type { LinkPorts } from '../link/link-ports.ts';
import { opusRouterCodec, ownStreamParameters, randomSsrc, STAGE_PAYLOAD_TYPE } from '../rtp/opus-codec.ts';
import { packOpusFrames, SAMPLES_PER_MS } from '../rtp/opus-packet.ts';
import { RTP_HEADER_WITH_CSRC_BYTES } from '../rtp/rtp-packet.ts';
import { VoiceStream } from '../rtp/voice-stream.ts';
import { SYNTHETIC_FRAME_BYTES, SYNTHETIC_TOC } from './synthetic-frame.ts';

const LINK_ID = 'synthetic';
const FRAMES = 3;
const PACKET_MS = 60;
/** While one voice speaks, another tells now and then that it is silent. */
const PACKETS_TO_SILENCE = 4;

interface Voice {
	producer: types.Producer;
	stream: VoiceStream;
}

/** A programme of nobody, brought to an edge of the same worker over a link as a stage's is: one voice speaks, another is silent. */
export class SyntheticProgramme {
	readonly #router: types.Router;
	readonly #voices: readonly Voice[];
	#packets = 0;

	/** Resolves when the edge takes what comes. */
	static async start(worker: types.Worker, edge: Edge, ports: LinkPorts): Promise<SyntheticProgramme> {
		const router = await worker.createRouter({ mediaCodecs: [opusRouterCodec(STAGE_PAYLOAD_TYPE)] });
		try {
			const direct = await router.createDirectTransport();
			const voices = await Promise.all(
				Array.from({ length: edge.voices + 1 }, async (_, index): Promise<Voice> => {
					const ssrc = randomSsrc();
					return {
						producer: await direct.produce({ kind: 'audio', rtpParameters: ownStreamParameters(STAGE_PAYLOAD_TYPE, ssrc, `voice-${index}`) }),
						stream: new VoiceStream({ ssrc, payloadType: STAGE_PAYLOAD_TYPE, nowMs: 0, random: Math.random }),
					};
				}),
			);
			const remote = await edge.createUpstream(LINK_ID, false);
			const link = await DownstreamLink.create({ router, producerIds: voices.map(({ producer }) => producer.id), ports, remote });
			await edge.connectUpstream(LINK_ID, link.local, link.voices);
			return new SyntheticProgramme(router, voices);
		} catch (error) {
			router.close();
			throw error;
		}
	}

	private constructor(router: types.Router, voices: readonly Voice[]) {
		this.#router = router;
		this.#voices = voices;
	}

	/** So many packets at once. What is said is noise; nobody decodes it. */
	speak(packets: number): void {
		const [speaking, silent] = this.#voices;
		const payload = packOpusFrames(SYNTHETIC_TOC, Array.from({ length: FRAMES }, () => randomBytes(SYNTHETIC_FRAME_BYTES)), RTP_HEADER_WITH_CSRC_BYTES);
		for (const end = this.#packets + packets; this.#packets < end; this.#packets++) {
			const atMs = this.#packets * PACKET_MS;
			if (this.#packets % PACKETS_TO_SILENCE === 0) {
				silent?.producer.send(silent.stream.keepAlive(atMs));
			} else {
				const header = speaking?.stream.rewriter.rewrite(this.#packets & 0xffff, (atMs * SAMPLES_PER_MS) >>> 0, PACKET_MS * SAMPLES_PER_MS, atMs);
				if (speaking && header) {
					speaking.producer.send(speaking.stream.finish(header, header.marker, 1, Buffer.from(payload)));
				}
			}
		}
	}

	/** Takes the link with it. */
	close(): void {
		this.#router.close();
	}
}

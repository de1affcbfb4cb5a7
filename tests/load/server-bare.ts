// The server to compare with: mediasoup used plainly. One worker, one router; a producer that takes RTP as it comes,
// for those who do not talk silent ones; for each listener a WebRTC transport with three consumers. Packets go out as they came in, at 20 ms.
import { createWorker, type types } from 'mediasoup';
import { SYNTHETIC_OFFER } from '../../sfu/calibration/synthetic-offer.ts';
import { opusRouterCodec, plainOpusCapabilities } from '../../sfu/rtp/opus-codec.ts';
import { writeListenAnswer } from '../../sfu/whep/listen-answer.ts';
import { parseListenOffer } from '../../sfu/whep/listen-offer.ts';
import { workerBinary } from '../../sfu/worker/worker-binary.ts';
import { type FromServer, REHEARSAL_JOINS, type ToServer } from './messages.ts';

const PAYLOAD_TYPE = 111;
const VOICES = 3;
const FIRST_SSRC = 1_000;
const REHEARSED_AT_ONCE = 4;

const [mediaPort = 26_000, talkers = 1] = process.argv.slice(2).map(Number);
const workerBin = workerBinary();
const worker = await createWorker({ logLevel: 'error', ...(workerBin === undefined ? {} : { workerBin }) });
worker.on('died', () => process.exit(1));
const webRtcServer = await worker.createWebRtcServer({
	listenInfos: (['udp', 'tcp'] as const).map((protocol) => ({ protocol, ip: '127.0.0.1', port: mediaPort })),
});
const router = await worker.createRouter({ mediaCodecs: [opusRouterCodec(PAYLOAD_TYPE)] });
const capabilities = plainOpusCapabilities(PAYLOAD_TYPE);
/** One for each voice, for each latches on to the first address it hears. */
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

const tell = (message: FromServer): void => void process.send?.(message);

async function seat(sdp: string): Promise<{ transport: types.WebRtcTransport; answer: string }> {
	const offer = parseListenOffer(sdp, { voices: VOICES });
	const transport = await router.createWebRtcTransport({ webRtcServer, enableUdp: true, enableTcp: true, preferUdp: true });
	const [, ...consumers] = await Promise.all([
		transport.connect({ dtlsParameters: offer.dtlsParameters }),
		...producers.map((producer, voice) =>
			transport.consume({ producerId: producer.id, rtpCapabilities: capabilities, mid: offer.audio[voice]?.mid ?? String(voice), enableRtx: false }),
		),
	]);
	const { iceParameters, iceCandidates, dtlsParameters } = transport;
	const streams = consumers.map(({ rtpParameters }, voice) => ({
		mid: offer.audio[voice]?.mid ?? String(voice),
		ssrc: rtpParameters.encodings?.[0]?.ssrc ?? 0,
		cname: `voice-${voice}`,
		trackId: `voice-${voice}`,
	}));
	return { transport, answer: writeListenAnswer({ offer, iceParameters, iceCandidates, dtlsParameters, streams }) };
}

async function listen(id: number, sdp: string): Promise<void> {
	try {
		tell({ kind: 'answer', id, answer: (await seat(sdp)).answer });
	} catch (error) {
		tell({ kind: 'refused', id, message: String(error) });
	}
}

// As Rostrum's shards do: else code that is not compiled yet would be compared with code that is.
for (let done = 0; done < REHEARSAL_JOINS; done += REHEARSED_AT_ONCE) {
	const seats = await Promise.all(Array.from({ length: REHEARSED_AT_ONCE }, () => seat(SYNTHETIC_OFFER)));
	for (const { transport } of seats) {
		transport.close();
	}
}

process.on('disconnect', () => process.exit(0));
process.on('message', (message: ToServer) => {
	switch (message.kind) {
		case 'exchange':
			void listen(message.id, message.offer);
			break;
		case 'accept':
			break; // Clients offer.
		case 'status':
			tell({ kind: 'status', packingMs: 20 });
			break;
		case 'close':
			worker.close();
			process.exit(0);
	}
});

tell({
	kind: 'ready',
	processes: [
		{ name: 'node', part: 'media', pid: process.pid },
		{ name: 'worker', part: 'media', pid: worker.pid },
	],
	rtp: Array.from({ length: talkers }, (_, talker) => ({ port: plain[talker]?.tuple.localPort ?? 0, ssrc: FIRST_SSRC + talker })),
});

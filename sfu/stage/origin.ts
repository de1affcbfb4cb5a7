import type { types } from 'mediasoup';
import type { Logger } from 'pino';
import type { LinkedVoice, LinkEndpoint, PackingMs, RtpCapabilities } from '../contract/media-types.ts';
import { SfuError } from '../contract/sfu-error.ts';
import type { ShardEventName, ShardEvents } from '../contract/shard-protocol.ts';
import { Downstreams } from '../link/downstreams.ts';
import type { LinkPorts } from '../link/link-ports.ts';
import { opusRouterCodec, ownStreamParameters, randomSsrc, STAGE_PAYLOAD_TYPE } from '../rtp/opus-codec.ts';
import type { SessionTable } from '../session/session-table.ts';
import type { TransportFactory } from '../session/web-rtc-server.ts';
import { Director } from './director.ts';
import { OriginVoices } from './origin-voices.ts';
import { Speaker } from './speaker.ts';

/** At most ten changes of talkers a second leave the shard for each room. */
const TALKERS_INTERVAL_MS = 100;

export interface OriginOptions {
	worker: types.Worker;
	roomId: string;
	voices: number;
	onAir: boolean;
	/** Of the voices on links. Speakers hear each other as they speak, whatever it is. */
	packingMs: PackingMs;
	transports: TransportFactory;
	sessions: SessionTable;
	linkPorts: LinkPorts;
	maxDownstreams: number;
	log: Logger;
	emit: <N extends ShardEventName>(name: N, data: ShardEvents[N]) => void;
}

/**
 * A room's origin: the router its speakers produce on, the director that turns them into voices, and the
 * links that carry the voices away. The voices are producers of its own, which exist as long as it does.
 */
export class Origin {
	readonly #options: OriginOptions;
	readonly #router: types.Router;
	readonly #direct: types.DirectTransport;
	readonly #voices: OriginVoices;
	readonly #director: Director;
	readonly #speakers = new Map<string, Speaker>();
	readonly #downstreams: Downstreams;
	#packetsReceived = 0;
	#talkersChanged = false;
	#talkersSentAtMs = -Infinity;
	#closed = false;

	static async create(options: OriginOptions): Promise<Origin> {
		const router = await options.worker.createRouter({ mediaCodecs: [opusRouterCodec(STAGE_PAYLOAD_TYPE)] });
		try {
			const direct = await router.createDirectTransport();
			const ssrcs = Array.from({ length: options.voices + 1 }, randomSsrc);
			const voices = await Promise.all(
				ssrcs.map((ssrc, index) =>
					direct.produce({ kind: 'audio', rtpParameters: ownStreamParameters(STAGE_PAYLOAD_TYPE, ssrc, `voice-${index}`) }),
				),
			);
			return new Origin(options, router, direct, voices, ssrcs);
		} catch (error) {
			router.close();
			throw error;
		}
	}

	private constructor(options: OriginOptions, router: types.Router, direct: types.DirectTransport, voices: types.Producer[], ssrcs: number[]) {
		this.#options = options;
		this.#router = router;
		this.#direct = direct;
		const nowMs = performance.now();
		const { roomId, packingMs, linkPorts, maxDownstreams, log } = options;
		this.#voices = new OriginVoices({ ssrcs, packingMs, nowMs, emit: (index, packet) => voices[index]?.send(packet) });
		const source = { router, producerIds: voices.map(({ id }) => id) };
		this.#downstreams = new Downstreams({ ports: linkPorts, max: maxDownstreams, log: log.child({ room: roomId }), source: () => source });
		this.#director = new Director({
			voices: options.voices,
			payloadType: STAGE_PAYLOAD_TYPE,
			ssrcs,
			nowMs,
			onAir: options.onAir,
			emit: (voice, packet) => this.#voices.onPacket(voice, packet, performance.now()),
			onTalkersChange: () => (this.#talkersChanged = true),
		});
	}

	get rtpCapabilities(): RtpCapabilities {
		return this.#router.rtpCapabilities;
	}
	get packetsReceived(): number {
		return this.#packetsReceived;
	}

	/** At once, without loss, and within the same streams. */
	setPackingMs(packingMs: PackingMs): void {
		this.#voices.setPackingMs(packingMs);
	}

	/** Off air the voices carry keep-alives alone, while speakers hear each other backstage. */
	setOnAir(onAir: boolean): void {
		this.#director.setOnAir(onAir, performance.now());
	}

	/** Idempotent: a speaker who is here already stays as they are. */
	addSpeaker(participantId: string, number: number): void {
		if (this.#speakers.has(participantId)) {
			return;
		}
		const { roomId, emit, transports, sessions, log } = this.#options;
		const speaker = new Speaker({
			participantId,
			router: this.#router,
			direct: this.#direct,
			transports,
			sessions,
			log: log.child({ room: roomId, participant: participantId }),
			onProducing: (levelExtensionId) => {
				this.#director.removeSource(participantId);
				this.#director.addSource({ id: participantId, number, ...(levelExtensionId === undefined ? {} : { levelExtensionId }) });
				emit('speaker.media', { roomId, participantId, state: 'producing' });
			},
			onPacket: (packet) => {
				this.#packetsReceived++;
				this.#director.onPacket(participantId, packet, performance.now());
			},
			onStopped: () => this.#director.removeSource(participantId),
			onState: (state) => emit('speaker.media', { roomId, participantId, state }),
		});
		this.#speakers.set(participantId, speaker);
	}

	removeSpeaker(participantId: string): void {
		const speaker = this.#speakers.get(participantId);
		if (speaker) {
			this.#speakers.delete(participantId);
			speaker.close();
		}
	}

	speaker(participantId: string): Speaker {
		const speaker = this.#speakers.get(participantId);
		if (!speaker) {
			throw new SfuError('participant_unknown', 'this person is not on the stage of this shard');
		}
		return speaker;
	}

	/** The sending half of a link; see `Downstreams.create`. */
	createDownstream(linkId: string, remote: LinkEndpoint): Promise<LinkEndpoint & { voices: LinkedVoice[] }> {
		return this.#downstreams.create(linkId, remote);
	}

	closeDownstream(linkId: string, reason: string): void {
		this.#downstreams.close(linkId, reason);
	}

	tick(nowMs: number): void {
		this.#director.tick(nowMs);
		this.#voices.tick(nowMs);
		if (this.#talkersChanged && nowMs - this.#talkersSentAtMs >= TALKERS_INTERVAL_MS) {
			this.#talkersChanged = false;
			this.#talkersSentAtMs = nowMs;
			const { talkers, dominant } = this.#director.talkers();
			this.#options.emit('stage.talkers', { roomId: this.#options.roomId, talkers, dominant });
		}
	}

	close(reason: string): void {
		if (this.#closed) {
			return;
		}
		this.#closed = true;
		this.#downstreams.closeAll(reason);
		for (const speaker of this.#speakers.values()) {
			speaker.close();
		}
		this.#speakers.clear();
		this.#router.close();
	}
}

import type { types } from 'mediasoup';
import type { PackingMs } from '../contract/media-types.ts';
import { gatherRequests } from '../worker/worker-requests.ts';
import { opusRouterCodec, ownStreamParameters, plainOpusCapabilities, randomSsrc } from '../rtp/opus-codec.ts';
import type { EdgeKind } from './edge-kind.ts';
import { EdgeVoice, PULSE, RELAY_PULSE, type SilenceTimes, type VoicePacket } from './edge-voice.ts';
import { Pulse } from './pulse.ts';

export interface EdgeRouterOptions {
	worker: types.Worker;
	kind: EdgeKind;
	/** K; a solo voice is added. */
	voices: number;
	packingMs: PackingMs;
	nowMs: number;
	/** The first taker of a voice has come, or the last one has gone. */
	onDemand: (voiceIndex: number) => void;
}

/**
 * Of voices that do not carry the pulse. Decoders that know of a silence need no more than its beginning, and a page takes
 * one voice for stalled only after three of its packets are lost (`voiceMs`). A browser reports on each stream that had a packet
 * within the last 8 s: three reports in 5 s if silence comes that often, half of them at 20 s (counted in Chromium).
 */
const SILENCE: SilenceTimes = { everyMs: 20_000, upstreamMs: 1_500 };
/** The same on links that begin here, twice as often as the origin sends it, and begun a little before those behind this edge begin with their own. */
const RELAY_SILENCE: SilenceTimes = { everyMs: 600, upstreamMs: 1_440 };

interface Voice {
	producer: types.Producer;
	stream: EdgeVoice;
	consumers: number;
}

/**
 * One mediasoup router of an edge, with the room's voices as producers of its own, for one kind of client, or for the
 * links that begin here. Whoever hangs on it is a taker: a listener of some voices, a link of all.
 */
export class EdgeRouter {
	readonly kind: EdgeKind;
	readonly router: types.Router;
	/** Listeners take nothing but Opus: no header extensions, no feedback. */
	readonly capabilities: types.RtpCapabilities;
	readonly #worker: types.Worker;
	readonly #voices: readonly Voice[];
	readonly #pulse: Pulse;
	readonly #onDemand: (voiceIndex: number) => void;
	#takers = 0;
	#idleSinceMs: number;
	#packetsSent = 0;

	static async create({ worker, kind, voices, packingMs, nowMs, onDemand }: EdgeRouterOptions): Promise<EdgeRouter> {
		const router = await worker.createRouter({ mediaCodecs: [opusRouterCodec(kind.payloadType)] });
		try {
			const direct = await router.createDirectTransport();
			const pulse = new Pulse(voices);
			const [atPulse, seldom] = kind.relay ? [RELAY_PULSE, RELAY_SILENCE] : [PULSE, SILENCE];
			const made = await Promise.all(
				Array.from({ length: voices + 1 }, async (_, index): Promise<Voice> => {
					const ssrc = randomSsrc();
					const producer = await direct.produce({ kind: 'audio', rtpParameters: ownStreamParameters(kind.payloadType, ssrc, `voice-${index}`) });
					keepConsumable(producer);
					const voice: Voice = {
						producer,
						consumers: 0,
						stream: new EdgeVoice({
							ssrc,
							payloadType: kind.payloadType,
							packingMs: kind.relay ? 'as-it-comes' : packingMs,
							silence: (atMs) => (pulse.carries(index, atMs) ? atPulse : seldom),
							nowMs,
							emit: (packet) => {
								edge.#packetsSent += voice.consumers;
								producer.send(packet);
							},
						}),
					};
					return voice;
				}),
			);
			const edge = new EdgeRouter(worker, kind, router, made, pulse, nowMs, onDemand);
			return edge;
		} catch (error) {
			router.close();
			throw error;
		}
	}

	private constructor(worker: types.Worker, kind: EdgeKind, router: types.Router, voices: readonly Voice[], pulse: Pulse, nowMs: number, onDemand: (voiceIndex: number) => void) {
		this.#worker = worker;
		this.#onDemand = onDemand;
		this.kind = kind;
		this.router = router;
		this.capabilities = plainOpusCapabilities(kind.payloadType);
		this.#voices = voices;
		this.#pulse = pulse;
		this.#idleSinceMs = nowMs;
	}

	/** Counted as the worker sends them: once for every consumer. */
	get packetsSent(): number {
		return this.#packetsSent;
	}

	/** Sessions and links that hang here. */
	get takers(): number {
		return this.#takers;
	}

	/**
	 * Sends one packet of each voice to nobody. A worker that learns of a stream when it has consumers tells each of them, which
	 * for a row of 500 is 1500 messages at the moment when the crowd comes.
	 */
	introduce(nowMs: number): void {
		for (const { stream } of this.#voices) {
			stream.tick(nowMs);
		}
	}

	idleMs(nowMs: number): number {
		return this.#takers > 0 ? 0 : nowMs - this.#idleSinceMs;
	}

	producerId(voiceIndex: number): string {
		const voice = this.#voices[voiceIndex];
		if (!voice) {
			throw new RangeError(`there is no voice ${voiceIndex}`);
		}
		return voice.producer.id;
	}

	/** What this turn asks of the worker goes out at once. */
	gatherRequests(): void {
		gatherRequests(this.#worker);
	}

	/** Of all voices and solo, in order. */
	get producerIds(): string[] {
		return this.#voices.map(({ producer }) => producer.id);
	}

	addTaker(voiceIndices: readonly number[]): void {
		this.#takers++;
		this.#count(voiceIndices, 1);
	}

	removeTaker(voiceIndices: readonly number[]): void {
		this.#takers--;
		this.#count(voiceIndices, -1);
		this.#idleSinceMs = performance.now();
	}

	/** Whether anybody takes this voice. */
	wants(index: number): boolean {
		return (this.#voices[index]?.consumers ?? 0) > 0;
	}

	/** Voices that nobody takes cost nothing. */
	onVoicePacket(index: number, packet: VoicePacket, nowMs: number): void {
		const voice = this.#voices[index];
		if (voice && voice.consumers > 0) {
			this.#pulse.onPacket(index, packet.dtx, nowMs);
			voice.stream.onUpstreamPacket(packet, nowMs);
		}
	}

	setUpstream(linkId: string): void {
		for (const { stream } of this.#voices) {
			stream.setUpstream(linkId);
		}
	}

	setPackingMs(packingMs: PackingMs): void {
		for (const { stream } of this.#voices) {
			stream.setPackingMs(packingMs);
		}
	}

	tick(nowMs: number): void {
		for (const { stream, consumers } of this.#voices) {
			if (consumers > 0) {
				stream.tick(nowMs);
			}
		}
	}

	/** Takes every listener's transport with it. */
	close(_reason: string): void {
		this.router.close();
	}

	#count(voiceIndices: readonly number[], change: 1 | -1): void {
		for (const index of voiceIndices) {
			const voice = this.#voices[index];
			if (voice) {
				voice.consumers += change;
				if (voice.consumers === (change === 1 ? 1 : 0)) {
					this.#onDemand(index);
				}
			}
		}
	}
}

/**
 * mediasoup hands out a deep copy of these for every consumer, three times a join, and copies again what it changes. Frozen,
 * so that a version of it that does not would say so in the first test.
 */
function keepConsumable(producer: types.Producer): void {
	Object.defineProperty(producer, 'consumableRtpParameters', { value: deepFreeze(producer.consumableRtpParameters) });
}

function deepFreeze<T>(value: T): T {
	if (typeof value === 'object' && value !== null) {
		Object.values(value).forEach(deepFreeze);
	}
	return Object.freeze(value);
}

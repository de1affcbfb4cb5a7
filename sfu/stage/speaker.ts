import { randomBytes } from 'node:crypto';
import type { types } from 'mediasoup';
import type { Logger } from 'pino';
import type { DtlsParameters, IceParameters, RtpCapabilities, RtpParameters, TransportParameters } from '../contract/media-types.ts';
import { SfuError } from '../contract/sfu-error.ts';
import type { SessionAnswer } from '../contract/shard-protocol.ts';
import { LEVEL_EXTENSION_URI } from '../rtp/opus-codec.ts';
import type { SessionTable } from '../session/session-table.ts';
import type { TransportFactory } from '../session/web-rtc-server.ts';
import { asSfuError } from '../whep/as-sfu-error.ts';
import { writePublishAnswer } from '../whep/publish-answer.ts';
import { parsePublishOffer } from '../whep/publish-offer.ts';
import { WebRtcSession } from '../session/web-rtc-session.ts';

export interface SpeakerOptions {
	participantId: string;
	router: types.Router;
	/** Where the director taps the speaker's packets. */
	direct: types.DirectTransport;
	transports: TransportFactory;
	sessions: SessionTable;
	log: Logger;
	/** The microphone (or encoder) runs; with the id of its level extension if it sends one. */
	onProducing: (levelExtensionId: number | undefined) => void;
	onPacket: (packet: Buffer) => void;
	onStopped: () => void;
	onState: (state: 'connected' | 'disconnected' | 'closed') => void;
}

type Direction = 'send' | 'recv';

/** One person's media on the stage: a transport each way in a browser, or one WHIP session. */
export class Speaker {
	readonly #options: SpeakerOptions;
	readonly #transports = new Map<Direction, types.WebRtcTransport>();
	readonly #heard = new Map<string, types.Consumer>();
	#session: WebRtcSession | undefined;
	#producer: types.Producer | undefined;
	#muted = false;
	#closed = false;

	constructor(options: SpeakerOptions) {
		this.#options = options;
	}

	get producer(): types.Producer | undefined {
		return this.#producer;
	}

	/** One transport a direction: making another one ends the former. */
	async createTransport(direction: Direction): Promise<TransportParameters> {
		const transport = await this.#options.transports(this.#options.router);
		if (this.#closed) {
			transport.close();
			throw gone();
		}
		this.#transports.get(direction)?.close();
		this.#transports.set(direction, transport);
		if (direction === 'recv') {
			this.#heard.clear();
		} else {
			this.#watch(transport);
		}
		const { id, iceParameters, iceCandidates, dtlsParameters } = transport;
		return { id, iceParameters, iceCandidates, dtlsParameters };
	}

	async connectTransport(transportId: string, dtlsParameters: DtlsParameters): Promise<void> {
		await this.#transport(transportId).connect({ dtlsParameters }).catch(badRtp);
	}

	async restartIce(transportId: string): Promise<IceParameters> {
		return this.#transport(transportId).restartIce();
	}

	async produce(transportId: string, rtpParameters: RtpParameters): Promise<string> {
		const transport = this.#transport(transportId);
		if (transport !== this.#transports.get('send')) {
			throw new SfuError('transport_unknown', 'produce on the send transport');
		}
		return this.#produceOn(transport, rtpParameters);
	}

	/** Muting pauses the producer in the worker: nothing of a muted microphone reaches anybody, whatever its client does. */
	async setMuted(muted: boolean): Promise<void> {
		this.#muted = muted;
		await (muted ? this.#producer?.pause() : this.#producer?.resume());
	}

	async consume(
		other: Speaker,
		rtpCapabilities: RtpCapabilities,
	): Promise<{ consumerId: string; producerId: string; rtpParameters: RtpParameters }> {
		const transport = this.#transports.get('recv');
		const producer = other.producer;
		if (!transport) {
			throw new SfuError('transport_unknown', 'make a recv transport first');
		}
		if (!producer || other === this) {
			throw new SfuError('producer_unknown', 'this person sends no audio at the moment');
		}
		const consumer = await transport.consume({ producerId: producer.id, rtpCapabilities }).catch(badRtp);
		if (consumer.closed) {
			throw new SfuError('transport_unknown', 'the recv transport or the audio went away meanwhile; consume again');
		}
		const { participantId } = other.#options;
		this.#heard.get(participantId)?.close();
		this.#heard.set(participantId, consumer);
		consumer.observer.once('close', () => {
			if (this.#heard.get(participantId) === consumer) {
				this.#heard.delete(participantId);
			}
		});
		return { consumerId: consumer.id, producerId: producer.id, rtpParameters: consumer.rtpParameters };
	}

	/** WHIP: the whole exchange at once. A session that the speaker had before is closed. */
	async publish(sessionId: string, offerSdp: string): Promise<SessionAnswer> {
		const offer = asSfuError('bad_offer', () => parsePublishOffer(offerSdp));
		const { transports, router, sessions } = this.#options;
		const transport = await transports(router);
		try {
			await transport.connect({ dtlsParameters: offer.dtlsParameters });
			await this.#produceOn(transport, offer.rtpParameters);
			const session = new WebRtcSession({
				id: sessionId,
				transport,
				sessions,
				remote: offer,
				mid: offer.transportMid,
				onConnected: () => this.#options.onState('connected'),
				onClosed: (reason) => {
					if (this.#session === session) {
						this.#session = undefined;
						this.#options.onState(reason === 'left' || reason === 'deleted' ? 'closed' : 'disconnected');
					}
				},
			});
			const former = this.#session;
			this.#session = session; // First, so that the former one's end is not taken for the speaker's.
			former?.close('replaced');
			return { sdp: writePublishAnswer({ offer, sessionNumber: randomBytes(4).readUInt32BE(), ...transportOf(transport) }), etag: session.etag };
		} catch (error) {
			transport.close();
			throw error instanceof SfuError ? error : new SfuError('bad_offer', 'the offer cannot be used', { cause: error });
		}
	}

	close(): void {
		if (this.#closed) {
			return;
		}
		this.#closed = true;
		const session = this.#session;
		this.#session = undefined; // Nobody needs to be told of what was asked for.
		session?.close('removed');
		for (const transport of this.#transports.values()) {
			transport.close();
		}
		this.#transports.clear();
	}

	async #produceOn(transport: types.WebRtcTransport, rtpParameters: RtpParameters): Promise<string> {
		const { direct, router, onPacket, onStopped, onProducing } = this.#options;
		const producer = await transport.produce({ kind: 'audio', rtpParameters, paused: this.#muted }).catch(badRtp);
		// The tap: the speaker's packets in this process, header extensions included.
		const tap = await direct.consume({ producerId: producer.id, rtpCapabilities: router.rtpCapabilities }).catch((error: unknown) => {
			producer.close();
			return badRtp(error); // E.g. two payload types for Opus, which the worker lets a producer have, but no consumer.
		});
		if (this.#closed || producer.closed) {
			producer.close();
			throw gone();
		}
		const former = this.#producer;
		this.#producer = producer;
		former?.close();
		producer.observer.once('close', () => {
			if (this.#producer === producer) {
				this.#producer = undefined;
				onStopped();
			}
		});
		if (this.#muted !== producer.paused) {
			// It changed while the producer was made. One that is closed or replaced meanwhile must not reach the director.
			await this.setMuted(this.#muted).catch((error: unknown) => {
				throw this.#producer === producer ? error : gone();
			});
			if (this.#producer !== producer) {
				throw gone();
			}
		}
		const sendsLevels = rtpParameters.headerExtensions?.some(({ uri }) => uri === LEVEL_EXTENSION_URI) ?? false;
		const levelExtensionId = tap.rtpParameters.headerExtensions?.find(({ uri }) => uri === LEVEL_EXTENSION_URI)?.id;
		onProducing(sendsLevels ? levelExtensionId : undefined);
		// mediasoup catches what a listener throws. Once is enough to know of it: what follows comes fifty times a second.
		tap.once('listenererror', (_event, error) => this.#options.log.error({ err: error }, 'a packet of a speaker could not be handled'));
		tap.on('rtp', (packet) => {
			if (this.#producer === producer) {
				onPacket(packet);
			}
		});
		return producer.id;
	}

	/** A browser's send transport tells of its connection; the stage decides what follows. */
	#watch(transport: types.WebRtcTransport): void {
		transport.on('icestatechange', (state) => {
			if (this.#transports.get('send') === transport && (state === 'disconnected' || state === 'connected' || state === 'completed')) {
				this.#options.onState(state === 'disconnected' ? 'disconnected' : 'connected');
			}
		});
		transport.on('dtlsstatechange', (state) => {
			if (this.#transports.get('send') === transport && (state === 'closed' || state === 'failed')) {
				this.#options.onState('disconnected');
			}
		});
	}

	#transport(transportId: string): types.WebRtcTransport {
		for (const transport of this.#transports.values()) {
			if (transport.id === transportId) {
				return transport;
			}
		}
		throw new SfuError('transport_unknown', 'there is no such transport; it may have been replaced');
	}
}

const transportOf = ({ iceParameters, iceCandidates, dtlsParameters }: types.WebRtcTransport) => ({ iceParameters, iceCandidates, dtlsParameters });

const gone = () => new SfuError('participant_unknown', 'this person left the stage meanwhile');

/** mediasoup checks what our schemas leave open, and says what is wrong in its message. */
function badRtp(error: unknown): never {
	throw new SfuError('bad_rtp', error instanceof Error ? error.message : 'mediasoup refused the parameters', { cause: error });
}

import { EventEmitter } from 'node:events';
import nodeDataChannel from 'node-datachannel';
import type { Track } from 'node-datachannel';
import { type Exchange, Peer, type PeerState } from './peer.ts';
import { type HeardPacket, VoiceRecord } from './voice-record.ts';

const { Audio, RtcpReceivingSession, Video } = nodeDataChannel;

export interface RtcListenerOptions {
	/** Audio sections to offer; 1 gets the solo voice. Default 3. */
	voices?: number;
	/** Of Opus. Default 111. */
	payloadType?: number;
	/** `a=maxptime` of every section, in ms. */
	maxptime?: number;
	/** A video section in front of the audio, and a data section behind it. */
	withVideoAndData?: boolean;
	/** Last changes to the offer before it is sent. */
	rewriteOffer?: (sdp: string) => string;
}

export interface RtcListenerEvents {
	packet: [voice: number, packet: HeardPacket];
}

const WAIT_MS = 10_000;

/** A WHEP listener with libdatachannel's WebRTC stack: records all it hears, and can be waited upon. */
export class RtcListener extends EventEmitter<RtcListenerEvents> {
	readonly voices: readonly VoiceRecord[];
	readonly #peer: Peer;
	readonly #options: RtcListenerOptions;
	/** Kept, because libdatachannel forgets a track that nobody holds. */
	readonly #tracks: Track[] = [];
	#offeredAtMs = 0;
	#connectedAtMs = 0;

	/** Offers, takes the answer, and resolves when connected. */
	static async join(exchange: Exchange, options: RtcListenerOptions = {}): Promise<RtcListener> {
		const listener = new RtcListener(options);
		try {
			await listener.connect(exchange);
			return listener;
		} catch (error) {
			listener.close();
			throw error;
		}
	}

	constructor(options: RtcListenerOptions = {}) {
		super();
		this.setMaxListeners(100);
		this.#options = options;
		this.#peer = new Peer();
		const { voices = 3, payloadType = 111, maxptime, withVideoAndData = false } = options;
		if (withVideoAndData) {
			const video = new Video('video', 'RecvOnly');
			video.addVP8Codec(100);
			this.#tracks.push(this.#peer.connection.addTrack(video));
		}
		this.voices = Array.from({ length: voices }, (_, index) => this.#addVoice(index, payloadType, maxptime));
		if (withVideoAndData) {
			this.#peer.connection.createDataChannel('unwanted');
		}
	}

	get state(): PeerState {
		return this.#peer.state;
	}
	/** From the offer to ICE and DTLS being through. */
	get connectMs(): number {
		return this.#connectedAtMs - this.#offeredAtMs;
	}
	/** From the offer to the first packet with audio; undefined while there was none. */
	get firstAudioMs(): number | undefined {
		const first = Math.min(...this.voices.flatMap(({ audio }) => audio[0]?.atMs ?? []));
		return Number.isFinite(first) ? first - this.#offeredAtMs : undefined;
	}
	/** This client's end of the path that ICE chose. */
	get localAddress(): string | undefined {
		const pair = this.#peer.connection.getSelectedCandidatePair();
		return pair ? `${pair.local.address}:${pair.local.port}` : undefined;
	}
	/** The voice that has this speaker, or had them last. */
	voiceOf(csrc: number): VoiceRecord | undefined {
		return this.voices.find((voice) => voice.packets.findLast(({ dtx }) => !dtx)?.csrc === csrc);
	}

	/** The offer alone, for a client that never goes on. */
	async offer(): Promise<string> {
		const sdp = await this.#peer.offer();
		return this.#options.rewriteOffer?.(sdp) ?? sdp;
	}

	async connect(exchange: Exchange): Promise<void> {
		this.#offeredAtMs = performance.now();
		await this.#peer.connect(exchange, this.#options.rewriteOffer);
		this.#connectedAtMs = performance.now();
	}

	/** Resolves with the first packet (from now on, or since `sinceMs`) that satisfies the predicate. */
	packet(what: string, isIt: (packet: HeardPacket, voice: number) => boolean, { sinceMs = performance.now(), timeoutMs = WAIT_MS } = {}): Promise<HeardPacket> {
		for (const [index, { packets }] of this.voices.entries()) {
			const known = packets.find((packet) => packet.atMs >= sinceMs && isIt(packet, index));
			if (known) {
				return Promise.resolve(known);
			}
		}
		return new Promise((resolve, reject) => {
			const onPacket = (voice: number, packet: HeardPacket): void => {
				if (isIt(packet, voice)) {
					clearTimeout(timer);
					this.off('packet', onPacket);
					resolve(packet);
				}
			};
			const timer = setTimeout(() => {
				this.off('packet', onPacket);
				reject(new Error(`waited ${timeoutMs} ms for ${what}; heard ${JSON.stringify(this.summary())}`));
			}, timeoutMs);
			this.on('packet', onPacket);
		});
	}

	/** Audio of this speaker, on any voice. */
	heard(csrc: number, options?: { sinceMs?: number; timeoutMs?: number }): Promise<HeardPacket> {
		return this.packet(`speaker ${csrc}`, (packet) => !packet.dtx && packet.csrc === csrc, options);
	}

	/** This many more packets with audio. */
	async morePackets(count: number): Promise<void> {
		let left = count;
		await this.packet(`${count} packets with audio`, ({ dtx }) => !dtx && --left <= 0);
	}

	/** The frame (see `frameKeysOf`), e.g. the last one that a speaker has sent. */
	frame(key: string, options?: { sinceMs?: number; timeoutMs?: number }): Promise<HeardPacket> {
		return this.packet('a certain frame', ({ frames }) => frames.includes(key), options);
	}

	/** The server (or the network) ended it. */
	closed(timeoutMs?: number): Promise<void> {
		return this.#peer.over(timeoutMs);
	}

	close(): void {
		this.#peer.close();
	}

	/** For messages of failed tests. */
	summary() {
		return {
			state: this.state,
			voices: this.voices.map((voice) => ({ packets: voice.packets.length, audio: voice.audio.length, csrcs: voice.csrcHistory.map(({ csrc }) => csrc), ...voice.flaws })),
		};
	}

	#addVoice(index: number, payloadType: number, maxptime: number | undefined): VoiceRecord {
		const audio = new Audio(`voice-${index}`, 'RecvOnly');
		audio.addOpusCodec(payloadType, 'minptime=10;useinbandfec=1');
		if (maxptime !== undefined) {
			audio.parseSdpLine(`a=maxptime:${maxptime}`);
		}
		const record = new VoiceRecord();
		const track = this.#peer.connection.addTrack(audio);
		// Answers sender reports with receiver reports, as a browser does.
		track.setMediaHandler(new RtcpReceivingSession());
		track.onMessage((message) => {
			const packet = record.onMessage(message, performance.now());
			if (packet) {
				this.emit('packet', index, packet);
			}
		});
		this.#tracks.push(track);
		return record;
	}
}

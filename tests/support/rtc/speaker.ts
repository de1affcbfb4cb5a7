import { randomInt } from 'node:crypto';
import nodeDataChannel from 'node-datachannel';
import type { Track } from 'node-datachannel';
import { writeRtpPacket } from '../../../sfu/rtp/rtp-packet.ts';
import { FRAME_MS, type SpokenAudio } from '../speech/speech.ts';
import { type Exchange, Peer, type PeerState } from './peer.ts';
import { frameKeysOf } from './voice-record.ts';

const { Audio } = nodeDataChannel;

const FRAME_SAMPLES = 48 * FRAME_MS;
const LEVEL_EXTENSION = 'urn:ietf:params:rtp-hdrext:ssrc-audio-level';
const LEVEL_EXTENSION_ID = 1;
/** What Opus makes of digital silence: a CELT frame of 20 ms without content. */
const SILENT_FRAME = Buffer.from([0xf8, 0xff, 0xfe]);

export interface RtcSpeakerOptions {
	/** Whether packets carry their level (RFC 6464), as browsers' do. Default true. */
	levels?: boolean;
	/** Of Opus. Default 111. */
	payloadType?: number;
	rewriteOffer?: (sdp: string) => string;
	/** Own address to send from. Default 127.0.0.1. */
	bindAddress?: string;
}

export interface SentFrame {
	readonly key: string;
	readonly levelDbov: number;
	readonly atMs: number;
}

/** Talking: frames of somebody's audio. Silent: an open microphone in a quiet room. Off: no packets at all. */
type Doing = { kind: 'talking'; audio: SpokenAudio; next: number; loops: boolean; ended: () => void } | { kind: 'silent' } | { kind: 'off' };

/**
 * A speaker by WHIP with libdatachannel's WebRTC stack, every RTP packet written by hand. One packet each 20 ms by a
 * clock that does not drift, whatever timers do; off the wire while not connected, as a microphone would be.
 */
export class RtcSpeaker {
	/** Every frame that left, in order, those of silence too. */
	readonly sent: SentFrame[] = [];
	readonly #options: RtcSpeakerOptions;
	readonly #exchange: Exchange;
	readonly #startedAtMs = performance.now();
	#peer: Peer | undefined;
	#track: Track | undefined;
	#ssrc = 0;
	#sequenceNumber = 0;
	/** 20 ms steps since the start. */
	#step = 0;
	#doing: Doing = { kind: 'off' };
	#timer: NodeJS.Timeout | undefined;
	#closed = false;
	#connectMs = 0;

	static async publish(exchange: Exchange, options: RtcSpeakerOptions = {}): Promise<RtcSpeaker> {
		const speaker = new RtcSpeaker(exchange, options);
		try {
			await speaker.connect();
			return speaker;
		} catch (error) {
			speaker.close();
			throw error;
		}
	}

	constructor(exchange: Exchange, options: RtcSpeakerOptions = {}) {
		this.#exchange = exchange;
		this.#options = options;
		this.#schedule();
	}

	get state(): PeerState {
		return this.#peer?.state ?? 'new';
	}
	/** How long the last (re)connection took, from before the offer. */
	get connectMs(): number {
		return this.#connectMs;
	}

	/** Connects, or connects anew: a new transport, as after the loss of the stage. The clock goes on meanwhile. */
	async connect(): Promise<void> {
		const beganAtMs = performance.now();
		const { levels = true, payloadType = 111, rewriteOffer, bindAddress } = this.#options;
		this.#track = undefined;
		this.#peer?.close();
		const peer = new Peer(bindAddress === undefined ? {} : { bindAddress });
		this.#peer = peer;
		this.#ssrc = randomInt(1, 0xffff_ffff);
		this.#sequenceNumber = randomInt(0, 0x1_0000);
		const audio = new Audio('mic', 'SendOnly');
		audio.addOpusCodec(payloadType, 'minptime=10;useinbandfec=1');
		audio.addSSRC(this.#ssrc, 'speaker', 'stream', 'mic');
		if (levels) {
			audio.parseSdpLine(`a=extmap:${LEVEL_EXTENSION_ID} ${LEVEL_EXTENSION}`);
		}
		const track = peer.connection.addTrack(audio);
		await peer.connect(this.#exchange, rewriteOffer);
		if (this.#closed || this.#peer !== peer) {
			peer.close();
			throw new Error('closed, or connected again, while it was connecting');
		}
		this.#track = track;
		this.#connectMs = performance.now() - beganAtMs;
	}

	/** Talks until told otherwise, over and over. */
	talk(audio: SpokenAudio, { fromFrame = 0 } = {}): void {
		this.#do({ kind: 'talking', audio, next: fromFrame % audio.frames.length, loops: true, ended: () => undefined });
	}

	/** Says it once, then falls silent; resolves with the end (also when interrupted). */
	say(audio: SpokenAudio): Promise<void> {
		return new Promise((resolve) => this.#do({ kind: 'talking', audio, next: 0, loops: false, ended: resolve }));
	}

	/** An open microphone and nobody talking. */
	silence(): void {
		this.#do({ kind: 'silent' });
	}

	/** No packets any more, as a muted client may do it. */
	stop(): void {
		this.#do({ kind: 'off' });
	}

	close(): void {
		this.#closed = true;
		clearTimeout(this.#timer);
		this.stop();
		this.#peer?.close();
	}

	#do(doing: Doing): void {
		if (this.#doing.kind === 'talking') {
			this.#doing.ended();
		}
		this.#doing = doing;
	}

	#schedule(): void {
		const dueMs = this.#startedAtMs + (this.#step + 1) * FRAME_MS;
		this.#timer = setTimeout(
			() => {
				const stepsDue = Math.floor((performance.now() - this.#startedAtMs) / FRAME_MS);
				while (this.#step < stepsDue) {
					this.#step++;
					this.#tick();
				}
				this.#schedule();
			},
			Math.max(0, dueMs - performance.now()),
		);
	}

	#tick(): void {
		const doing = this.#doing;
		if (doing.kind === 'off') {
			return;
		}
		if (doing.kind === 'silent') {
			this.#send(SILENT_FRAME, -127);
			return;
		}
		const { audio, next } = doing;
		const frame = audio.frames[next];
		const levelDbov = audio.levelsDbov[next] ?? -127;
		if (frame) {
			this.#send(frame, levelDbov);
		}
		doing.next++;
		if (doing.next === audio.frames.length) {
			doing.next = 0;
			if (!doing.loops) {
				this.silence();
			}
		}
	}

	#send(payload: Buffer, levelDbov: number): void {
		const track = this.#track;
		if (!track?.isOpen()) {
			return;
		}
		const { levels = true, payloadType = 111 } = this.#options;
		const packet = writeRtpPacket({
			payloadType,
			marker: false,
			sequenceNumber: this.#sequenceNumber,
			timestamp: (this.#step * FRAME_SAMPLES) % 2 ** 32,
			ssrc: this.#ssrc,
			payload,
		});
		this.#sequenceNumber = (this.#sequenceNumber + 1) & 0xffff;
		try {
			track.sendMessageBinary(levels ? withLevel(packet, levelDbov) : packet);
		} catch (error) {
			// Its own thread has closed it since it was asked.
			if (!track.isOpen()) {
				return;
			}
			throw error;
		}
		this.sent.push({ key: frameKeysOf(payload)[0] ?? '', levelDbov, atMs: performance.now() });
	}
}

/** Puts the level extension (RFC 6464, one-byte form of RFC 8285) behind the 12 bytes of the header. */
function withLevel(packet: Buffer, levelDbov: number): Buffer {
	const speech = levelDbov > -50 ? 0x80 : 0;
	const extension = Buffer.from([0xbe, 0xde, 0, 1, LEVEL_EXTENSION_ID << 4, speech | -levelDbov, 0, 0]);
	const whole = Buffer.concat([packet.subarray(0, 12), extension, packet.subarray(12)]);
	whole[0] = (whole[0] ?? 0) | 0x10;
	return whole;
}

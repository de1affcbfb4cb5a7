import { RTP_HEADER_WITH_CSRC_BYTES } from '../rtp/rtp-packet.ts';
import type { VoicePacket } from '../rtp/voice-packet.ts';
import { VoiceStream } from '../rtp/voice-stream.ts';
import { Packer } from './packer.ts';
import type { PackedPayload } from './packer.ts';

export { parseVoicePacket } from '../rtp/voice-packet.ts';
export type { VoicePacket } from '../rtp/voice-packet.ts';

/** How a voice is kept alive in silence. */
export interface SilenceTimes {
	/** In a silence that lasts, one packet in about this time. */
	readonly everyMs: number;
	/** An upstream that has sent nothing for this long is gone, and not just quiet: silence of our own begins. */
	readonly upstreamMs: number;
}

/** At the pulse (see `Pulse`), which an upstream keeps too. */
export const PULSE: SilenceTimes = { everyMs: 400, upstreamMs: 500 };
/**
 * A relay is sooner with its own, and sends them faster: an edge behind it must not take its link for dead although a
 * keep-alive is lost on the way (see `STALL_MS`).
 */
export const RELAY_PULSE: SilenceTimes = { everyMs: 200, upstreamMs: 440 };

/** After this long without a packet nothing can be told from sequence numbers: what comes is a new start. */
const UPSTREAM_FORGOTTEN_MS = 2000;

export interface EdgeVoiceOptions {
	/** Of the outgoing stream: stays for the edge router's life. */
	readonly ssrc: number;
	/** The edge router's Opus payload type. */
	readonly payloadType: number;
	/** Audio per packet: 10…120 ms. `as-it-comes` sends every packet on at once and byte for byte: for links. */
	readonly packingMs: number | 'as-it-comes';
	/** Asked at every packet of silence and every tick. Default: always at the pulse. */
	readonly silence?: (nowMs: number) => SilenceTimes;
	/** The clock's reading now; every `nowMs` is of the same monotonic clock. */
	readonly nowMs: number;
	/** Receives every outgoing RTP packet; owns it. */
	readonly emit: (packet: Buffer) => void;
	/** 0 ≤ x < 1, for the stream's starting points. Default Math.random. */
	readonly random?: () => number;
}

/** Counts since the voice was made. */
export interface EdgeVoiceStats {
	packetsIn: number;
	packetsOut: number;
	/** Late or duplicate packets of the upstream, not sent on. */
	late: number;
	/** Keep-alives of our own, sent while there was no upstream. */
	keepAlives: number;
}

/**
 * One voice on one edge router: takes the upstream's packets at 20 ms and sends one continuous stream in packets of
 * the router's packing, whatever upstream feeds it. While there is none it keeps the listeners' jitter buffers warm,
 * and edges behind a relay sure of their link.
 */
export class EdgeVoice {
	readonly stats: EdgeVoiceStats = { packetsIn: 0, packetsOut: 0, late: 0, keepAlives: 0 };
	readonly #stream: VoiceStream;
	/** None where every packet goes on as it came. */
	readonly #packer: Packer | undefined;
	readonly #silence: (nowMs: number) => SilenceTimes;
	readonly #emit: (packet: Buffer) => void;
	#upstreamKey: unknown = undefined;
	#heardAtMs: number;
	#nowMs: number;
	/** What came or went last in this voice was silence of our own; the first goes out at once, so that the stream exists before its upstream does. */
	#ownSilence = true;
	#lastAtMs = -Infinity;

	/** @throws RangeError when `packingMs` is not 10…120 */
	constructor(options: EdgeVoiceOptions) {
		this.#emit = options.emit;
		this.#nowMs = options.nowMs;
		this.#heardAtMs = options.nowMs;
		const { ssrc, payloadType, nowMs, packingMs, random = Math.random } = options;
		const packs = packingMs !== 'as-it-comes';
		this.#silence = options.silence ?? (() => (packs ? PULSE : RELAY_PULSE));
		this.#stream = new VoiceStream({ ssrc, payloadType, nowMs, random });
		this.#packer = packs
			? new Packer({ packingMs, silenceEveryMs: () => this.#silence(this.#nowMs).everyMs, headroomBytes: RTP_HEADER_WITH_CSRC_BYTES }, (packed) => this.#send(packed))
			: undefined;
	}

	/** Earliest time at which {@link tick} has anything to do, as things stand. */
	get nextTickDueMs(): number {
		return Math.min(this.#keepAliveDueMs(this.#nowMs), this.#packer?.dueMs ?? Infinity);
	}

	/** A packet of the current upstream, as {@link parseVoicePacket} gives it; shared with other edges, so left as it is. */
	onUpstreamPacket(packet: VoicePacket, nowMs: number): void {
		this.#nowMs = nowMs;
		this.stats.packetsIn++;
		this.#ownSilence = false;
		this.#lastAtMs = nowMs;
		if (nowMs - this.#heardAtMs > UPSTREAM_FORGOTTEN_MS) this.#restart();
		this.#heardAtMs = nowMs;
		if (!this.#stream.rewriter.accept(packet.sequenceNumber)) {
			this.stats.late++;
			return;
		}
		this.#stream.toc = packet.toc;
		if (this.#packer) {
			this.#packer.add(packet, nowMs);
		} else {
			this.#relay(packet, nowMs);
		}
	}

	/**
	 * The link was replaced: what comes now has other sequence numbers and timestamps, and the outgoing stream goes on.
	 * Frames of the old one that were waiting go out first. The same key again changes nothing.
	 */
	setUpstream(key: unknown): void {
		if (key === this.#upstreamKey) return;
		this.#upstreamKey = key;
		this.#restart();
	}

	/**
	 * Changes the packing at once, without loss; nothing changes where there is none.
	 * @throws RangeError when `packingMs` is not 10…120
	 */
	setPackingMs(packingMs: number): void {
		this.#packer?.setPackingMs(packingMs);
	}

	/** Called several times a second. Two comparisons while the upstream is well. */
	tick(nowMs: number): void {
		this.#nowMs = nowMs;
		this.#packer?.flushIfDue(nowMs);
		if (nowMs < this.#keepAliveDueMs(nowMs)) return;
		this.#packer?.flush();
		this.#ownSilence = true;
		this.#lastAtMs = nowMs;
		this.stats.keepAlives++;
		this.stats.packetsOut++;
		this.#emit(this.#stream.keepAlive(nowMs));
	}

	#keepAliveDueMs(nowMs: number): number {
		const { everyMs, upstreamMs } = this.#silence(nowMs);
		return this.#lastAtMs + (this.#ownSilence ? everyMs : upstreamMs);
	}

	#restart(): void {
		this.#packer?.flush();
		this.#stream.rewriter.switchSource();
	}

	#relay({ timestamp, durationSamples, marker, csrc, payload }: VoicePacket, nowMs: number): void {
		const header = this.#stream.rewriter.place(timestamp, durationSamples, nowMs);
		this.stats.packetsOut++;
		this.#emit(this.#stream.write(header, header.marker || marker, csrc, payload, 0, payload.length));
	}

	#send(packed: PackedPayload): void {
		const header = this.#stream.rewriter.place(packed.timestamp, packed.durationSamples, this.#nowMs);
		this.stats.packetsOut++;
		this.#emit(this.#stream.finish(header, header.marker || packed.marker, packed.csrc, packed.buffer));
	}
}

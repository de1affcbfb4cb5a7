import { KeepAliveSchedule } from '../rtp/keep-alive-schedule.ts';
import { SAMPLES_PER_MS } from '../rtp/opus-packet.ts';
import type { HeldPacket, PreRollRing } from '../rtp/pre-roll-ring.ts';
import { timestampDifference } from '../rtp/serial-number.ts';
import type { VoiceStream } from '../rtp/voice-stream.ts';

/** A talker counts as pausing this long after the last loud packet: the soft end of a word is over. */
const PAUSE_MS = 100;
/** In pauses a voice that is further ahead of the wall clock than this catches up by leaving out quiet packets. */
const CATCH_UP_LEAD_SAMPLES = 120 * SAMPLES_PER_MS;
/** Further than this no voice runs ahead: a burst that a stalled network held back is cut to this length. */
const MAX_LEAD_SAMPLES = 1000 * SAMPLES_PER_MS;

/** What an outlet needs to know of the source whose packets it carries. */
export interface OutletSource {
	/** Goes out as CSRC. */
	readonly number: number;
	readonly ring: PreRollRing;
	/** Timestamp of the first loud packet of the current phrase. */
	readonly onsetTimestamp: number;
	readonly contender: { readonly phraseSinceMs: number; readonly lastLoudMs: number };
}

/** Counts of what became of packets, shared by all outlets of a director. */
export interface OutletStats {
	/** Packets out, keep-alives included. */
	packetsOut: number;
	keepAlives: number;
	/** Came after a later packet had gone out, or twice. */
	late: number;
	/** Left out so that a voice catches up with the wall clock. */
	skipped: number;
}

export interface VoiceOutletOptions {
	/** Number of the voice. */
	readonly index: number;
	/** Bit of {@link HeldPacket.sentBits}: one for all voices, for a packet goes out on one of them; another for solo. */
	readonly sentBit: number;
	readonly stream: VoiceStream;
	readonly nowMs: number;
	/** How much of what came before an onset goes out with it. */
	readonly preRollSamples: number;
	/** How long after an onset its pre-roll is still sent, and kept. */
	readonly onsetReachMs: number;
	readonly stats: OutletStats;
	readonly emit: (voice: number, packet: Buffer) => void;
}

/**
 * One voice (or the solo voice) of the origin: sends the packets of the source it is given, and keep-alives when
 * there is none or its packets stop. Its stream never ends.
 */
export class VoiceOutlet<Source extends OutletSource> {
	readonly index: number;
	readonly #sentBit: number;
	readonly #stream: VoiceStream;
	readonly #keepAlive: KeepAliveSchedule;
	readonly #preRollSamples: number;
	readonly #onsetReachMs: number;
	readonly #stats: OutletStats;
	readonly #emit: (voice: number, packet: Buffer) => void;
	#source: Source | undefined = undefined;

	constructor(options: VoiceOutletOptions) {
		this.index = options.index;
		this.#sentBit = options.sentBit;
		this.#stream = options.stream;
		this.#keepAlive = new KeepAliveSchedule(options.nowMs);
		this.#preRollSamples = options.preRollSamples;
		this.#onsetReachMs = options.onsetReachMs;
		this.#stats = options.stats;
		this.#emit = options.emit;
	}

	/** Whose packets it carries. */
	get source(): Source | undefined {
		return this.#source;
	}

	/** When {@link tick} has something to do. */
	get dueMs(): number {
		return this.#keepAlive.dueMs;
	}

	/** Gives the voice to a source, or to nobody: then silence begins now. */
	assign(source: Source | undefined, nowMs: number): void {
		this.#source = source;
		this.restart();
		if (source === undefined) this.#keepAlive.begin(nowMs);
	}

	/** What its source sends next is a new beginning, at the wall clock. */
	restart(): void {
		this.#stream.rewriter.switchSource();
	}

	/** Silence begins now, whoever has the voice. */
	silence(nowMs: number): void {
		this.#keepAlive.begin(nowMs);
	}

	/** Sends a keep-alive when one is due. */
	tick(nowMs: number): void {
		if (nowMs < this.#keepAlive.dueMs) return;
		this.#keepAlive.sent(nowMs);
		this.#stats.keepAlives++;
		this.#stats.packetsOut++;
		this.#emit(this.index, this.#stream.keepAlive(nowMs));
	}

	/**
	 * Sends what is kept of its source's phrase and of the moment before it. Whoever has talked for longer than is kept
	 * has no onset to save: a part of it would only make the voice late.
	 */
	sendPreRoll(nowMs: number): void {
		const source = this.#source;
		if (source === undefined || nowMs - source.contender.phraseSinceMs > this.#onsetReachMs) return;
		const { ring, onsetTimestamp } = source;
		const reachSamples = 2 * this.#onsetReachMs * SAMPLES_PER_MS;
		// From behind the newest that went out: an older one that came late would turn the source's order round.
		let index = ring.count;
		while (index > 0 && !this.#wasSent(ring.at(index - 1))) index--;
		let begun = false;
		for (; index < ring.count; index++) {
			const held = ring.at(index);
			const sinceOnset = timestampDifference(held.timestamp, onsetTimestamp);
			if (sinceOnset < -this.#preRollSamples || sinceOnset > reachSamples) continue;
			// Silence in front would cost delay and save nothing.
			if (held.dtx && !begun) continue;
			begun = true;
			this.#send(source, held, nowMs);
		}
	}

	/** Sends its source's packet that has just come, unless the pre-roll had it or one that overtook it has gone out. */
	sendLive(source: Source, held: HeldPacket, nowMs: number): void {
		if (this.#wasSent(held)) return;
		const { ring } = source;
		// Nearly always it is the newest, and there is nothing to look at.
		for (let index = ring.count - 1; index >= 0 && ring.at(index) !== held; index--) {
			if (!this.#wasSent(ring.at(index))) continue;
			this.#stats.late++;
			return;
		}
		this.#send(source, held, nowMs);
	}

	#wasSent(held: HeldPacket): boolean {
		return (held.sentBits & this.#sentBit) !== 0;
	}

	#send(source: Source, held: HeldPacket, nowMs: number): void {
		const stream = this.#stream;
		const { rewriter } = stream;
		held.sentBits |= this.#sentBit;
		if (!rewriter.accept(held.sequenceNumber)) {
			this.#stats.late++;
			return;
		}
		const leadSamples = rewriter.leadSamples(nowMs);
		if (leadSamples > CATCH_UP_LEAD_SAMPLES) {
			const pausing = held.dtx || nowMs - source.contender.lastLoudMs > PAUSE_MS;
			if (pausing || leadSamples > MAX_LEAD_SAMPLES) {
				rewriter.skip(held.durationSamples);
				this.#stats.skipped++;
				return;
			}
		}
		const header = rewriter.place(held.timestamp, held.durationSamples, nowMs);
		const { buffer, payloadStart, payloadEnd } = held;
		stream.toc = buffer[payloadStart]!;
		this.#keepAlive.hold(nowMs);
		this.#stats.packetsOut++;
		// The source's own marker does not count: some encoders set it on every packet.
		this.#emit(this.index, stream.write(header, header.marker, source.number, buffer, payloadStart, payloadEnd));
	}
}

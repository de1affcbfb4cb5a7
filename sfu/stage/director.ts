import type { Talker } from '../contract/media-types.ts';
import { SAMPLES_PER_MS, isDtxPayload, opusDurationSamples } from '../rtp/opus-packet.ts';
import { PreRollRing } from '../rtp/pre-roll-ring.ts';
import type { HeldPacket } from '../rtp/pre-roll-ring.ts';
import { audioLevelByteOf, parseRtpPacket } from '../rtp/rtp-packet.ts';
import { VoiceStream } from '../rtp/voice-stream.ts';
import { VoiceOutlet } from './voice-outlet.ts';
import type { OutletSource, OutletStats } from './voice-outlet.ts';
import { VoiceSelector } from './voice-selector.ts';
import type { Contender, VoiceSelectorOptions } from './voice-selector.ts';

/** While somebody talks, a tick this soon after the last has something to look at. Well under the timer's 20 ms, for it jitters. */
const TALKING_TICK_MS = 10;
/** The shortest packets the pre-roll is dimensioned for. */
const SHORTEST_PACKET_MS = 10;
/** Bits of {@link HeldPacket.sentBits}. */
const SENT_ON_VOICE = 1;
const SENT_ON_SOLO = 2;

export interface DirectorOptions {
	/** Number of voices, K: 1…8. Index K is the solo voice. */
	readonly voices: number;
	/** Opus payload type of all that goes out. */
	readonly payloadType: number;
	/** One SSRC a voice, and then the solo voice's. */
	readonly ssrcs: readonly number[];
	/** The clock's reading now; every `nowMs` is of the same monotonic clock. */
	readonly nowMs: number;
	/** Receives every outgoing RTP packet; owns it. */
	readonly emit: (voice: number, packet: Buffer) => void;
	/** Whether what is said goes out from the start. Default false. */
	readonly onAir?: boolean;
	/** Something that {@link Director.talkers} tells has changed; called at most once for each packet or tick. */
	readonly onTalkersChange?: () => void;
	/** How much of what came before the first loud packet goes out with it. Default 60. */
	readonly preRollMs?: number;
	/** Thresholds of the selection, where they differ from the defaults. */
	readonly selection?: Omit<VoiceSelectorOptions, 'voices'>;
	/** 0 ≤ x < 1, for the streams' starting points. Default Math.random. */
	readonly random?: () => number;
}

/** A speaker's microphone or an encoder. */
export interface DirectorSource {
	readonly id: string;
	/** Its number in the stage roster, which goes out as CSRC. */
	readonly number: number;
	/** Header extension id of the audio level (RFC 6464) in its packets; without it, sending audio is talking. */
	readonly levelExtensionId?: number;
}

/** Counts since the director was made. */
export interface DirectorStats extends OutletStats {
	packetsIn: number;
	/** Not RTP, or not Opus. */
	malformed: number;
	/** Of a source that is not there (any more). */
	unknownSource: number;
}

class Source implements OutletSource {
	readonly number: number;
	/** -1: it sends no levels. */
	readonly levelExtensionId: number;
	readonly ring: PreRollRing;
	readonly contender: Contender<Source>;
	/** The packet that is being heard. */
	current: HeldPacket;
	/** Timestamp of the first loud packet of the current phrase. */
	onsetTimestamp = 0;

	constructor(number: number, levelExtensionId: number, ringCapacity: number, selector: VoiceSelector<Source>) {
		this.number = number;
		this.levelExtensionId = levelExtensionId;
		this.ring = new PreRollRing(ringCapacity);
		this.current = this.ring.spare;
		this.contender = selector.add(this);
	}
}

/**
 * The origin's heart: hears every speaker's packets, gives the voices to those who talk, and sends each voice as one
 * continuous stream that exists for the room's whole life. The solo voice carries the dominant speaker by the same rules.
 *
 * Nothing is clipped: the packets just before a talk spurt go out with its first one, at the wall clock, and the
 * spurt follows that much later. In silences (and in pauses, when it is far ahead) the voice takes up the wall clock again.
 */
export class Director {
	readonly stats: DirectorStats = { packetsIn: 0, packetsOut: 0, keepAlives: 0, malformed: 0, unknownSource: 0, late: 0, skipped: 0 };
	readonly #onTalkersChange: (() => void) | undefined;
	readonly #selector: VoiceSelector<Source>;
	readonly #sources = new Map<string, Source>();
	readonly #outlets: readonly VoiceOutlet<Source>[];
	readonly #solo: VoiceOutlet<Source>;
	readonly #ringCapacity: number;
	#onAir: boolean;
	#nowMs: number;
	#nextTickDueMs = -Infinity;
	#talkersChanged = false;

	/** @throws RangeError when `voices` is not 1…8, or `ssrcs` does not hold one more than that */
	constructor(options: DirectorOptions) {
		const { voices, payloadType, ssrcs, nowMs, random = Math.random, preRollMs = 60, selection } = options;
		if (ssrcs.length !== voices + 1) throw new RangeError(`${voices} voices need ${voices + 1} SSRCs, not ${ssrcs.length}`);
		this.#onTalkersChange = options.onTalkersChange;
		this.#onAir = options.onAir ?? false;
		this.#nowMs = nowMs;
		// Whoever takes over the solo voice from a speaker who has paused began to talk up to that pause's length ago.
		const onsetReachMs = selection?.pauseMs ?? 200;
		this.#ringCapacity = Math.ceil((preRollMs + onsetReachMs) / SHORTEST_PACKET_MS) + 2;
		this.#selector = new VoiceSelector<Source>(
			{ ...selection, voices },
			{
				phrase: (contender, now) => this.#onPhrase(contender.owner, now),
				voice: (voice, holder, now) => this.#assign(this.#outlets[voice]!, holder?.owner, now),
				dominant: (contender, now) => this.#assign(this.#solo, contender?.owner, now),
			},
		);
		this.#outlets = ssrcs.map(
			(ssrc, index) =>
				new VoiceOutlet<Source>({
					index,
					sentBit: index === voices ? SENT_ON_SOLO : SENT_ON_VOICE,
					stream: new VoiceStream({ ssrc, payloadType, nowMs, random }),
					nowMs,
					preRollSamples: preRollMs * SAMPLES_PER_MS,
					onsetReachMs,
					stats: this.stats,
					emit: options.emit,
				}),
		);
		this.#solo = this.#outlets[voices]!;
	}

	/** Earliest time at which {@link tick} has anything to do, as things stand. */
	get nextTickDueMs(): number {
		return this.#nextTickDueMs;
	}

	/** A source joins; one of the same id is replaced, for its packets are numbered anew. */
	addSource({ id, number, levelExtensionId }: DirectorSource): void {
		this.removeSource(id);
		this.#sources.set(id, new Source(number, levelExtensionId ?? -1, this.#ringCapacity, this.#selector));
	}

	/** A source leaves: its voice is free at once. Does nothing when it is not there. */
	removeSource(id: string, nowMs = this.#nowMs): void {
		const source = this.#sources.get(id);
		if (source === undefined) return;
		this.#sources.delete(id);
		this.#selector.remove(source.contender, nowMs);
		this.#announce();
	}

	/** Off air only keep-alives leave. Going on air works from the very next packet, and nothing said before leaks out. */
	setOnAir(onAir: boolean, nowMs = this.#nowMs): void {
		if (onAir === this.#onAir) return;
		this.#onAir = onAir;
		// Before anything else: what was said off air is nobody's pre-roll.
		for (const source of this.#sources.values()) source.ring.clear();
		for (const outlet of this.#outlets) {
			outlet.restart();
			if (!onAir) outlet.silence(nowMs);
		}
		this.#nextTickDueMs = -Infinity;
	}

	/** One RTP packet of a source, as it came. The director may keep the buffer for a while and never writes to it. */
	onPacket(id: string, packet: Buffer, nowMs: number): void {
		this.#nowMs = nowMs;
		this.stats.packetsIn++;
		const source = this.#sources.get(id);
		if (source === undefined) {
			this.stats.unknownSource++;
			return;
		}
		const { ring, contender } = source;
		const held = ring.spare;
		if (parseRtpPacket(packet, held) === undefined) {
			this.stats.malformed++;
			return;
		}
		const { payloadStart, payloadEnd } = held;
		// Nothing but padding probes the path and says nothing of the source.
		if (payloadStart === payloadEnd) return;
		held.durationSamples = opusDurationSamples(packet, payloadStart, payloadEnd);
		if (held.durationSamples === 0) {
			this.stats.malformed++;
			return;
		}
		held.dtx = isDtxPayload(packet, payloadStart, payloadEnd);
		held.sentBits = 0;
		if (ring.push() === undefined) {
			this.stats.late++;
			return;
		}

		source.current = held;
		const level = source.levelExtensionId < 0 ? -1 : audioLevelByteOf(held, source.levelExtensionId);
		this.#selector.hear(contender, level < 0 ? undefined : 0 - (level & 0x7f), level >= 0x80, held.dtx, nowMs);
		if (this.#onAir) {
			if (contender.voice >= 0) this.#outlets[contender.voice]!.sendLive(source, held, nowMs);
			if (this.#solo.source === source) this.#solo.sendLive(source, held, nowMs);
		}
		this.#announce();
	}

	/** Ends talk spurts whose packets have stopped, and keeps silent voices alive. One comparison while nothing is due. */
	tick(nowMs: number): void {
		this.#nowMs = nowMs;
		if (nowMs < this.#nextTickDueMs) return;
		this.#selector.tick(nowMs);
		let dueMs = this.#selector.talkers.length > 0 ? nowMs + TALKING_TICK_MS : Infinity;
		for (const outlet of this.#outlets) {
			outlet.tick(nowMs);
			if (outlet.dueMs < dueMs) ({ dueMs } = outlet);
		}
		this.#nextTickDueMs = dueMs;
		this.#announce();
	}

	/** Who has which voice, and the dominant speaker's number or null; off air too, for the stage's own display. */
	talkers(): { talkers: Talker[]; dominant: number | null } {
		const talkers: Talker[] = [];
		for (const { index, source } of this.#outlets) {
			if (source !== undefined && index !== this.#solo.index) talkers.push({ number: source.number, voice: index });
		}
		return { talkers, dominant: this.#solo.source?.number ?? null };
	}

	#onPhrase(source: Source, nowMs: number): void {
		source.onsetTimestamp = source.current.timestamp;
		this.#nextTickDueMs = Math.min(this.#nextTickDueMs, nowMs + TALKING_TICK_MS);
	}

	#assign(outlet: VoiceOutlet<Source>, source: Source | undefined, nowMs: number): void {
		this.#talkersChanged = true;
		outlet.assign(source, nowMs);
		if (source === undefined) this.#nextTickDueMs = Math.min(this.#nextTickDueMs, nowMs);
		else if (this.#onAir) outlet.sendPreRoll(nowMs);
	}

	#announce(): void {
		if (!this.#talkersChanged) return;
		this.#talkersChanged = false;
		this.#onTalkersChange?.();
	}
}

import { SAMPLES_PER_MS, isDtxPayload, splitOpusPacket } from '../../../sfu/rtp/opus-packet.ts';
import { parseRtpPacket } from '../../../sfu/rtp/rtp-packet.ts';
import { timestampDifference } from '../../../sfu/rtp/serial-number.ts';

/** One packet as it came. */
export interface HeardPacket {
	/** `performance.now()`. */
	readonly atMs: number;
	readonly sequenceNumber: number;
	readonly timestamp: number;
	readonly marker: boolean;
	readonly csrc: number | undefined;
	readonly payloadType: number;
	readonly payloadBytes: number;
	readonly durationMs: number;
	/** A keep-alive or an encoder's own DTX: no audio. */
	readonly dtx: boolean;
	/** Each Opus frame with the coding it is in, comparable with `frameKey` of what was sent. */
	readonly frames: readonly string[];
}

/** A frame's bytes and its coding (configuration and channels) as one comparable string. */
export const frameKey = (toc: number, frame: Uint8Array): string => `${toc & 0xfc}:${Buffer.from(frame).toString('base64')}`;

/** The frames of one Opus packet; empty when it is malformed. */
export const frameKeysOf = (payload: Buffer): string[] => {
	const packet = splitOpusPacket(payload);
	return packet ? packet.frames.map((frame) => frameKey(packet.toc, frame)) : [];
};

const isRtcp = (packet: Buffer): boolean => ((packet[1] ?? 0) & 0x7f) >= 64 && ((packet[1] ?? 0) & 0x7f) <= 95;

/** What has come on one audio section, and whether it was one flawless RTP stream. */
export class VoiceRecord {
	readonly packets: HeardPacket[] = [];
	/** Sequence numbers that never came (so far). */
	lost = 0;
	/** Packets that came after a later one, or twice. */
	reordered = 0;
	/** Packets that begin before the one in front of them ends. */
	overlaps = 0;
	malformed = 0;
	ssrcChanges = 0;
	rtcpPackets = 0;
	#ssrc: number | undefined;

	/** @returns the packet, unless it was RTCP or not to be understood */
	onMessage(message: Buffer, atMs: number): HeardPacket | undefined {
		if (isRtcp(message)) {
			this.rtcpPackets++;
			return undefined;
		}
		const view = parseRtpPacket(message);
		const payload = view?.payload;
		const opus = payload && splitOpusPacket(payload);
		if (!view || !payload || !opus) {
			this.malformed++;
			return undefined;
		}
		const packet: HeardPacket = {
			atMs,
			sequenceNumber: view.sequenceNumber,
			timestamp: view.timestamp,
			marker: view.marker,
			csrc: view.firstCsrc,
			payloadType: view.payloadType,
			payloadBytes: payload.length,
			durationMs: opus.durationSamples / SAMPLES_PER_MS,
			dtx: isDtxPayload(view.buffer, view.payloadStart, view.payloadEnd),
			frames: frameKeysOf(payload),
		};
		if (this.#ssrc !== undefined && this.#ssrc !== view.ssrc) {
			this.ssrcChanges++;
		}
		this.#ssrc = view.ssrc;
		this.#compare(this.packets.at(-1), packet);
		this.packets.push(packet);
		return packet;
	}

	get audio(): HeardPacket[] {
		return this.packets.filter(({ dtx }) => !dtx);
	}
	get keepAlives(): number {
		return this.packets.length - this.audio.length;
	}
	/** Frames with audio in the order they came. */
	frames({ csrc, sinceMs = -Infinity }: { csrc?: number; sinceMs?: number } = {}): string[] {
		return this.audio.filter((packet) => packet.atMs >= sinceMs && (csrc === undefined || packet.csrc === csrc)).flatMap(({ frames }) => frames);
	}
	/** Who was heard, in order, with the time of each change; keep-alives do not count. */
	get csrcHistory(): { csrc: number | undefined; atMs: number }[] {
		const history: { csrc: number | undefined; atMs: number }[] = [];
		for (const { csrc, atMs, dtx } of this.packets) {
			if (!dtx && history.at(-1)?.csrc !== csrc) {
				history.push({ csrc, atMs });
			}
		}
		return history;
	}

	/** Longest time between two packets, either of them within the period; of audio alone if asked. */
	largestGapMs({ sinceMs = -Infinity, untilMs = Infinity, audioOnly = false }: { sinceMs?: number; untilMs?: number; audioOnly?: boolean } = {}): number {
		let largest = 0;
		let before: HeardPacket | undefined;
		for (const packet of audioOnly ? this.audio : this.packets) {
			if (before && packet.atMs >= sinceMs && before.atMs <= untilMs) {
				largest = Math.max(largest, packet.atMs - before.atMs);
			}
			before = packet;
		}
		return largest;
	}

	/** Everything wrong with the stream in one object: compare with `FLAWLESS`. */
	get flaws() {
		const { lost, reordered, overlaps, malformed, ssrcChanges } = this;
		return { lost, reordered, overlaps, malformed, ssrcChanges };
	}

	#compare(before: HeardPacket | undefined, packet: HeardPacket): void {
		if (!before) {
			return;
		}
		const step = (packet.sequenceNumber - before.sequenceNumber) & 0xffff;
		if (step === 0 || step >= 0x8000) {
			this.reordered++;
			return;
		}
		this.lost += step - 1;
		if (timestampDifference(packet.timestamp, before.timestamp) < before.durationMs * SAMPLES_PER_MS) {
			this.overlaps++;
		}
	}
}

export const FLAWLESS: VoiceRecord['flaws'] = { lost: 0, reordered: 0, overlaps: 0, malformed: 0, ssrcChanges: 0 };

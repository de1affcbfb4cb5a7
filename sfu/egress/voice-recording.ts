import type { EdgeTap } from '../edge/edge-tap.ts';
import type { VoicePacket } from '../rtp/voice-packet.ts';
import { OggOpusWriter } from './ogg-opus-writer.ts';
import { samplesOf, VoiceTrack } from './voice-track.ts';

/** Who spoke: the number of a person, and from when to when, after the recording's beginning. */
export type SpokenTurn = [number: number, fromMs: number, toMs: number];

/** What is added to a recording at once. */
export interface RecordedChunk {
	/** Whole pages of one Ogg file with a stream of Opus for each voice; the first chunk begins with the streams' heads. */
	data: Buffer;
	/** How far every voice reaches with it, after the recording's beginning. */
	untilMs: number;
	/** What was said since the last chunk. Of one turn that goes on, each chunk has a piece. */
	turns: SpokenTurn[];
}

export interface VoiceRecordingOptions {
	voices: number;
	/** The moment its time begins, of the same monotonic clock as every `nowMs`. */
	startMs: number;
	onChunk: (chunk: RecordedChunk) => void;
}

/** What is said is handed on this often. */
const CHUNK_MS = 1_000;
/** Packets that come this late are still in their place. */
const LAG_MS = 600;
/** A pause of somebody who speaks, not the end of it. */
const BREATH_MS = 400;

/**
 * The voices of a room as they are spoken: nothing is decoded, so that recording costs next to nothing while an event is on, and nothing
 * can fail but the disk. They are mixed when it is over.
 */
export class VoiceRecording implements EdgeTap {
	readonly #options: VoiceRecordingOptions;
	readonly #tracks: readonly VoiceTrack[];
	readonly #writers: readonly OggOpusWriter[];
	/** By number: what was said since the last chunk. */
	readonly #spoken = new Map<number, SpokenTurn[]>();
	#head: Buffer | undefined;
	#chunkAtMs: number;
	#closed = false;

	constructor(options: VoiceRecordingOptions) {
		this.#options = options;
		const { voices, startMs } = options;
		this.#tracks = Array.from({ length: voices }, () => new VoiceTrack(startMs));
		this.#writers = this.#tracks.map((_, index) => new OggOpusWriter(index + 1));
		const heads = this.#writers.map((writer) => writer.headers());
		// RFC 3533 §4: the first pages of all streams come before anything else.
		this.#head = Buffer.concat([...heads.map(([head]) => head), ...heads.map(([, tags]) => tags)]);
		this.#chunkAtMs = startMs + CHUNK_MS;
	}

	onVoicePacket(index: number, packet: VoicePacket, nowMs: number): void {
		this.#tracks[index]?.onPacket(packet, nowMs);
		if (packet.csrc !== undefined && !packet.dtx) {
			this.#onSpoken(packet.csrc, nowMs - this.#options.startMs, packet.durationSamples / 48);
		}
	}

	setUpstream(linkId: string): void {
		for (const track of this.#tracks) {
			track.setUpstream(linkId);
		}
	}

	/** Called about every 100 ms. */
	tick(nowMs: number): void {
		if (!this.#closed && nowMs >= this.#chunkAtMs) {
			this.#chunkAtMs = nowMs + CHUNK_MS;
			this.#write(nowMs - LAG_MS);
		}
	}

	/** With all that came until now. Idempotent. */
	close(nowMs: number): void {
		if (!this.#closed) {
			this.#closed = true;
			this.#write(nowMs);
		}
	}

	#onSpoken(number: number, fromMs: number, durationMs: number): void {
		const turns = this.#spoken.get(number) ?? [];
		this.#spoken.set(number, turns);
		const last = turns.at(-1);
		const toMs = Math.round(fromMs + durationMs);
		if (last && fromMs - last[2] < BREATH_MS) {
			last[2] = Math.max(last[2], toMs);
		} else {
			turns.push([number, Math.max(0, Math.round(fromMs)), toMs]);
		}
	}

	#write(untilMs: number): void {
		const until = samplesOf(untilMs - this.#options.startMs);
		if (until <= 0) {
			return;
		}
		const pages = this.#tracks.map((track, index) => {
			const written = this.#writers[index]?.pages(track.read(until)) ?? Buffer.alloc(0);
			track.forget(until - 2 * samplesOf(LAG_MS));
			return written;
		});
		const turns = [...this.#spoken.values()].flat();
		this.#spoken.clear();
		const data = Buffer.concat(this.#head ? [this.#head, ...pages] : pages);
		this.#head = undefined;
		this.#options.onChunk({ data, untilMs: Math.round(untilMs - this.#options.startMs), turns });
	}
}

// What an overflow stream is made of.

/** The encoder makes a part of 512 ms (24 frames of AAC at 48 kHz). */
export const PART_MS = 512;
export const SEGMENT_PARTS = 4;
export const SEGMENT_MS = SEGMENT_PARTS * PART_MS;

/** What one encoder made: its parts follow each other without a gap, after its own initialisation segment. */
export interface Generation {
	/** Lower-case letters and digits; never used again, by no node. Part of every address, so that an address has one content for ever. */
	readonly id: string;
	/** Grows with each generation. */
	readonly discontinuity: number;
	readonly init: Buffer;
}

/** About half a second of the stream. */
export interface Part {
	/** Number of its segment. */
	readonly msn: number;
	/** Its place in the segment, from 0. */
	readonly part: number;
	readonly generation: string;
	/** Of the epoch. */
	readonly startMs: number;
	readonly durationMs: number;
	readonly data: Buffer;
}

export interface Segment {
	readonly msn: number;
	readonly generation: Generation;
	readonly parts: Part[];
	/** No part will follow. */
	complete: boolean;
	whole: Buffer | undefined;
}

/** What comes next, should the encoder go on. */
export function nextPart(segments: readonly Segment[]): { msn: number; part: number; generation: string } | undefined {
	const last = segments.at(-1);
	if (!last) {
		return undefined;
	}
	const generation = last.generation.id;
	return last.complete ? { msn: last.msn + 1, part: 0, generation } : { msn: last.msn, part: last.parts.length, generation };
}

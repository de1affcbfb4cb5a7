/** Samples a millisecond on Opus's RTP clock, which is 48 kHz whatever the audio bandwidth (RFC 7587 §4.1). */
export const SAMPLES_PER_MS = 48;
/** The longest packet, 120 ms (RFC 6716 §3.2.5, R5). */
export const MAX_PACKET_SAMPLES = 120 * SAMPLES_PER_MS;
/** Most frames in a packet: 120 ms of 2.5 ms (RFC 6716 §3.2.5). */
export const MAX_PACKET_FRAMES = 48;
/** Longest frame in bytes (RFC 6716 §3.4, R2). */
export const MAX_FRAME_BYTES = 1275;

const CODE_3_PADDING = 0x40;
const CODE_3_VBR = 0x80;
/** From this length on, a frame length takes two bytes (RFC 6716 §3.2.1). */
const TWO_BYTE_LENGTH = 252;

/** Frame duration in samples by configuration number (RFC 6716 §3.1, table 2). */
const FRAME_SAMPLES: readonly number[] = Array.from({ length: 32 }, (_, config) => {
	if (config < 12) return [480, 960, 1920, 2880][config & 3]!;
	if (config < 16) return [480, 960][config & 1]!;
	return [120, 240, 480, 960][config & 3]!;
});

/** Duration of one frame of a packet that begins with `toc`, in samples at 48 kHz: 120 (2.5 ms) … 2880 (60 ms). */
export const frameSamplesOf = (toc: number): number => FRAME_SAMPLES[toc >> 3]!;

/** What the first byte of an Opus packet says (RFC 6716 §3.1). */
export interface OpusToc {
	/** Mode, bandwidth and frame duration: 0…31. */
	readonly config: number;
	readonly stereo: boolean;
	/** How frames are counted: 0 (one), 1 (two alike), 2 (two), 3 (any number). */
	readonly code: number;
	/** Duration of one frame in samples at 48 kHz. */
	readonly frameSamples: number;
}

/** Reads a TOC byte. */
export const readToc = (toc: number): OpusToc => ({
	config: toc >> 3,
	stereo: (toc & 4) !== 0,
	code: toc & 3,
	frameSamples: frameSamplesOf(toc),
});

/** Whether frames of two packets may share one: same configuration and channels; the code does not matter. */
export const sameCoding = (tocA: number, tocB: number): boolean => (tocA ^ tocB) < 4;

/** An Opus packet taken apart. */
export interface OpusPacket {
	/** First byte as it came, with its frame count code. */
	readonly toc: number;
	/** Compressed frames as subarrays of the payload; an empty one is a frame not sent (DTX). */
	readonly frames: Buffer[];
	/** All frames together, in samples at 48 kHz. */
	readonly durationSamples: number;
}

/**
 * Checks `buffer[start…end)` against RFC 6716 §3.4 (R1-R7) and, when `frames` is given, appends a subarray a frame.
 * One walk serves measuring and splitting, so that the two can never disagree.
 * @returns the packet's duration in samples, or 0 when it is malformed (then `frames` may hold a part of it)
 */
const walk = (buffer: Buffer, start: number, end: number, frames: Buffer[] | undefined): number => {
	if (start >= end) return 0; // R1
	const toc = buffer[start]!;
	const frameSamples = FRAME_SAMPLES[toc >> 3]!;
	let position = start + 1;
	switch (toc & 3) {
		case 0: {
			if (end - position > MAX_FRAME_BYTES) return 0; // R2
			frames?.push(buffer.subarray(position, end));
			return frameSamples;
		}
		case 1: {
			const bytes = end - position;
			if ((bytes & 1) !== 0 || bytes > 2 * MAX_FRAME_BYTES) return 0; // R3, R2
			if (frames) {
				const middle = position + bytes / 2;
				frames.push(buffer.subarray(position, middle), buffer.subarray(middle, end));
			}
			return 2 * frameSamples;
		}
		case 2: {
			if (position >= end) return 0; // R4
			let length = buffer[position++]!;
			if (length >= TWO_BYTE_LENGTH) {
				if (position >= end) return 0; // R4
				length += 4 * buffer[position++]!;
			}
			const second = position + length;
			if (second > end || end - second > MAX_FRAME_BYTES) return 0; // R4, R2
			frames?.push(buffer.subarray(position, second), buffer.subarray(second, end));
			return 2 * frameSamples;
		}
		default: {
			return walkCode3(buffer, position, end, frameSamples, frames);
		}
	}
};

/** The part of {@link walk} for code 3, from the frame count byte on (RFC 6716 §3.2.5). */
const walkCode3 = (buffer: Buffer, start: number, packetEnd: number, frameSamples: number, frames: Buffer[] | undefined): number => {
	let position = start;
	let end = packetEnd;
	if (position >= end) return 0; // R6, R7
	const header = buffer[position++]!;
	const count = header & 0x3f;
	const durationSamples = count * frameSamples;
	if (count === 0 || durationSamples > MAX_PACKET_SAMPLES) return 0; // R5
	if (header & CODE_3_PADDING) {
		let more: number;
		do {
			if (position >= end) return 0; // R6, R7
			more = buffer[position++]!;
			// 255 stands for 254 bytes of padding and a further length byte.
			end -= more === 255 ? 254 : more;
		} while (more === 255);
		if (end < position) return 0; // R6, R7
	}

	if ((header & CODE_3_VBR) === 0) {
		const bytes = end - position;
		const length = bytes / count;
		if (!Number.isInteger(length) || length > MAX_FRAME_BYTES) return 0; // R6, R2
		if (frames) {
			for (let index = 0; index < count; index++, position += length) {
				frames.push(buffer.subarray(position, position + length));
			}
		}
		return durationSamples;
	}

	// VBR: all lengths but the last come first. They are walked twice when splitting: once to find the first frame.
	const lengthsStart = position;
	let bytes = 0;
	for (let index = 1; index < count; index++) {
		if (position >= end) return 0; // R7
		let length = buffer[position++]!;
		if (length >= TWO_BYTE_LENGTH) {
			if (position >= end) return 0; // R7
			length += 4 * buffer[position++]!;
		}
		bytes += length;
	}
	const lastLength = end - position - bytes;
	if (lastLength < 0 || lastLength > MAX_FRAME_BYTES) return 0; // R7, R2
	if (frames) {
		let lengthAt = lengthsStart;
		for (let index = 1; index < count; index++) {
			let length = buffer[lengthAt++]!;
			if (length >= TWO_BYTE_LENGTH) length += 4 * buffer[lengthAt++]!;
			frames.push(buffer.subarray(position, position + length));
			position += length;
		}
		frames.push(buffer.subarray(position, end));
	}
	return durationSamples;
};

/**
 * Duration of the Opus packet in `buffer[start…end)` in samples at 48 kHz, fully checked (RFC 6716 §3.4) without
 * allocating; 0 when it is malformed. The range must lie within the buffer.
 */
export const opusDurationSamples = (buffer: Buffer, start = 0, end = buffer.length): number => walk(buffer, start, end, undefined);

/**
 * Takes an Opus packet apart (RFC 6716 §3.2), padding removed.
 * @returns undefined when it breaks any of the rules R1-R7 of §3.4. Never throws.
 */
export const splitOpusPacket = (payload: Buffer): OpusPacket | undefined => {
	const frames: Buffer[] = [];
	const durationSamples = walk(payload, 0, payload.length, frames);
	return durationSamples === 0 ? undefined : { toc: payload[0]!, frames, durationSamples };
};

const writeLength = (out: Buffer, position: number, length: number): number => {
	if (length < TWO_BYTE_LENGTH) {
		out[position] = length;
		return position + 1;
	}
	// First byte 252…255 with the low bits of the length, second byte a quarter of the rest (RFC 6716 §3.2.1).
	const first = TWO_BYTE_LENGTH + (length & 3);
	out[position] = first;
	out[position + 1] = (length - first) >> 2;
	return position + 2;
};

/**
 * Packs frames into the shortest form of packet that holds them (RFC 6716 §3.2): one frame in code 0, two in code 1
 * or 2, more in code 3 with constant or variable lengths. Nothing is transcoded.
 * @param toc - configuration and channels of all the frames; its code bits are ignored
 * @param headroomBytes - bytes left unwritten in front, for a header that the caller writes in place
 * @throws RangeError when there is no frame, more than 48 frames or 120 ms, or a frame longer than 1275 bytes
 */
export const packOpusFrames = (toc: number, frames: readonly Uint8Array[], headroomBytes = 0): Buffer => {
	const count = frames.length;
	if (count === 0 || count > MAX_PACKET_FRAMES) throw new RangeError(`an Opus packet holds 1 to 48 frames, not ${count}`);
	if (count * frameSamplesOf(toc) > MAX_PACKET_SAMPLES) throw new RangeError('an Opus packet holds at most 120 ms');

	const firstLength = frames[0]!.length;
	let bytes = 0;
	let lengthBytes = 0;
	let constant = true;
	for (let index = 0; index < count; index++) {
		const { length } = frames[index]!;
		if (length > MAX_FRAME_BYTES) throw new RangeError(`an Opus frame holds at most 1275 bytes, not ${length}`);
		if (length !== firstLength) constant = false;
		bytes += length;
		// The last frame's length is never written: it is what is left.
		if (index < count - 1) lengthBytes += length < TWO_BYTE_LENGTH ? 1 : 2;
	}

	const coding = toc & 0xfc;
	const headerBytes = 1 + (count > 2 ? 1 : 0) + (constant ? 0 : lengthBytes);
	const out = Buffer.allocUnsafe(headroomBytes + headerBytes + bytes);
	let position = headroomBytes + 1;
	if (count === 1) {
		out[headroomBytes] = coding;
	} else if (count === 2) {
		out[headroomBytes] = coding | (constant ? 1 : 2);
	} else {
		out[headroomBytes] = coding | 3;
		out[position++] = constant ? count : count | CODE_3_VBR;
	}
	if (!constant) {
		for (let index = 0; index < count - 1; index++) position = writeLength(out, position, frames[index]!.length);
	}
	for (let index = 0; index < count; index++) {
		const frame = frames[index]!;
		out.set(frame, position);
		position += frame.length;
	}
	return out;
};

/** Longest code 3 packet, padding aside, whose frames all hold at most one byte: header, 47 lengths, 48 frames. */
const MAX_EMPTY_CODE_3_BYTES = 2 + (MAX_PACKET_FRAMES - 1) + MAX_PACKET_FRAMES;

/**
 * Whether the payload in `buffer[start…end)` carries no audio: an encoder in discontinuous transmission sends
 * packets of at most 2 bytes, and a decoder plays comfort noise for every frame of at most one byte. So: nothing at
 * all, at most 2 bytes, or a packet of several frames that all hold at most one byte. Malformed payloads are no DTX.
 */
export const isDtxPayload = (buffer: Buffer, start = 0, end = buffer.length): boolean => {
	const bytes = end - start;
	if (bytes <= 2) return true;
	switch (buffer[start]! & 3) {
		case 0:
			return false;
		case 1:
			return bytes === 3;
		case 2:
			// TOC, a length of 0 or 1, and two frames of at most a byte: at most 4 bytes.
			return bytes <= 4 && buffer[start + 1]! <= 1 && bytes - 2 - buffer[start + 1]! <= 1;
		default: {
			// Frames are looked at one by one only where they could all be that short: never for ordinary speech.
			const padded = (buffer[start + 1]! & CODE_3_PADDING) !== 0;
			if (!padded && bytes > MAX_EMPTY_CODE_3_BYTES) return false;
			const frames: Buffer[] = [];
			return walk(buffer, start, end, frames) > 0 && frames.every((frame) => frame.length <= 1);
		}
	}
};

/** A packet of one frame that is not sent: the TOC byte alone, code 0 (RFC 6716 §3.1, §3.2.1: length 0 is DTX). */
export const dtxPayload = (toc: number): Buffer => Buffer.of(toc & 0xfc);

/** The same mode, bandwidth and channels with 20 ms frames: keep-alives are spaced 20 ms whatever a source sends. */
export const twentyMsToc = (toc: number): number => {
	const config = toc >> 3;
	const twenty = config < 12 ? (config & ~3) | 1 : config < 16 ? config | 1 : config | 3;
	return (twenty << 3) | (toc & 4);
};

/** Hybrid fullband mono at 20 ms, what browsers send for speech: for keep-alives before any source was heard. */
export const DEFAULT_TOC = 15 << 3;

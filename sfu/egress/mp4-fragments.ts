/** A piece of a fragmented MP4 stream that can be played by itself after its initialisation segment (ISO/IEC 14496-12 §8.8). */
export interface Mp4Fragment {
	/** `moof` and `mdat`. */
	readonly data: Buffer;
	/** Of its first sample, in units of the track's timescale. */
	readonly baseTime: number;
	readonly duration: number;
}

/** No fragment of half a second of audio comes near it: whoever announces more does not write MP4. */
const MAX_BOX_BYTES = 4 * 1024 * 1024;
const HEADER_BYTES = 8;

interface Box {
	type: string;
	/** Without its header. */
	body: Buffer;
}

/** Takes the output of a muxer apart as it comes: one track, `empty_moov`, `default_base_moof`. */
export class Mp4Fragments {
	readonly #onInit: (init: Buffer) => void;
	readonly #onFragment: (fragment: Mp4Fragment) => void;
	#pending: Buffer = Buffer.alloc(0);
	/** Boxes before the first `moof`. */
	#init: Buffer[] = [];
	#moof: Buffer | undefined;

	constructor(onInit: (init: Buffer) => void, onFragment: (fragment: Mp4Fragment) => void) {
		this.#onInit = onInit;
		this.#onFragment = onFragment;
	}

	/** @throws RangeError when this cannot be MP4 as we ask for it */
	push(chunk: Buffer): void {
		this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
		for (;;) {
			if (this.#pending.length < HEADER_BYTES) {
				return;
			}
			const bytes = this.#pending.readUInt32BE(0);
			if (bytes < HEADER_BYTES || bytes > MAX_BOX_BYTES) {
				throw new RangeError(`an MP4 box of ${bytes} bytes`);
			}
			if (this.#pending.length < bytes) {
				return;
			}
			// A copy: a part is kept for long, and must not keep the whole chunk that it came in.
			this.#take(this.#pending.toString('latin1', 4, 8), Buffer.from(this.#pending.subarray(0, bytes)));
			this.#pending = this.#pending.subarray(bytes);
		}
	}

	#take(type: string, box: Buffer): void {
		if (type === 'ftyp' || type === 'moov') {
			this.#init.push(box);
			if (type === 'moov') {
				this.#onInit(Buffer.concat(this.#init.splice(0)));
			}
		} else if (type === 'moof') {
			this.#moof = box;
		} else if (type === 'mdat' && this.#moof) {
			const moof = this.#moof;
			this.#moof = undefined;
			this.#onFragment({ data: Buffer.concat([moof, box]), ...timesOf(moof) });
		} // Else an index at the end, or padding.
	}
}

function timesOf(moof: Buffer): { baseTime: number; duration: number } {
	const traf = bodyOf(boxesOf(moof.subarray(HEADER_BYTES)), 'traf');
	const boxes = boxesOf(traf);
	const tfdt = bodyOf(boxes, 'tfdt');
	const baseTime = tfdt[0] === 1 ? Number(tfdt.readBigUInt64BE(4)) : tfdt.readUInt32BE(4);
	const defaultDuration = defaultDurationOf(bodyOf(boxes, 'tfhd'));
	const duration = boxes.filter(({ type }) => type === 'trun').reduce((sum, { body }) => sum + durationOf(body, defaultDuration), 0);
	return { baseTime, duration };
}

/** `tfhd` (§8.8.7): optional fields in order of their flags. */
function defaultDurationOf(tfhd: Buffer): number {
	const flags = tfhd.readUInt32BE(0) & 0xff_ffff;
	const at = 8 + (flags & 0x1 ? 8 : 0) + (flags & 0x2 ? 4 : 0);
	return flags & 0x8 ? tfhd.readUInt32BE(at) : 0;
}

/** `trun` (§8.8.8): the count, then fields of each sample as its flags say. */
function durationOf(trun: Buffer, defaultDuration: number): number {
	const flags = trun.readUInt32BE(0) & 0xff_ffff;
	const count = trun.readUInt32BE(4);
	if (!(flags & 0x100)) {
		return count * defaultDuration;
	}
	const sampleBytes = 4 * [0x100, 0x200, 0x400, 0x800].filter((flag) => flags & flag).length;
	let at = 8 + (flags & 0x1 ? 4 : 0) + (flags & 0x4 ? 4 : 0);
	let duration = 0;
	for (let sample = 0; sample < count; sample++, at += sampleBytes) {
		duration += trun.readUInt32BE(at);
	}
	return duration;
}

function boxesOf(buffer: Buffer): Box[] {
	const boxes: Box[] = [];
	for (let at = 0; at + HEADER_BYTES <= buffer.length; ) {
		const bytes = buffer.readUInt32BE(at);
		if (bytes < HEADER_BYTES || at + bytes > buffer.length) {
			throw new RangeError(`an MP4 box of ${bytes} bytes within another`);
		}
		boxes.push({ type: buffer.toString('latin1', at + 4, at + 8), body: buffer.subarray(at + HEADER_BYTES, at + bytes) });
		at += bytes;
	}
	return boxes;
}

function bodyOf(boxes: readonly Box[], type: string): Buffer {
	const box = boxes.find((candidate) => candidate.type === type);
	if (!box) {
		throw new RangeError(`an MP4 fragment without ${type}`);
	}
	return box.body;
}

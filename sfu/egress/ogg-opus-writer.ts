/** An Opus packet in its place: what a track is made of. */
export interface TrackPacket {
	readonly payload: Buffer;
	/** Duration at 48 kHz. */
	readonly samples: number;
}

/** A page holds this many lacing values, each for up to 255 bytes (RFC 3533 §6). */
const MAX_SEGMENTS = 255;
const PAGE_HEADER_BYTES = 27;
const FIRST_PAGE = 0x02;
const LAST_PAGE = 0x04;
/** Two, for a packet of one channel plays on both and one of two channels is not cut. */
const CHANNELS = 2;

/** CRC-32 with the polynomial 0x04c11db7, neither reflected nor inverted (RFC 3533 §6, item 7). */
const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
	let remainder = byte << 24;
	for (let bit = 0; bit < 8; bit++) {
		remainder = remainder & 0x8000_0000 ? (remainder << 1) ^ 0x04c1_1db7 : remainder << 1;
	}
	return remainder;
});

function crcOf(page: Buffer): number {
	let crc = 0;
	for (const byte of page) {
		crc = (crc << 8) ^ (CRC_TABLE[((crc >>> 24) ^ byte) & 0xff] ?? 0);
	}
	return crc >>> 0;
}

/**
 * Writes one Ogg stream of Opus (RFC 3533, RFC 7845). Pages end with packets, so that a reader has every packet as soon as it
 * has the page. Nothing is skipped at its start: sample 0 is the first packet's first one.
 */
export class OggOpusWriter {
	readonly #serial: number;
	#page = 0;
	#samples = 0n;

	/** @param serial of the stream; differs among streams that may meet */
	constructor(serial: number) {
		this.#serial = serial;
	}

	/** The two pages that a stream begins with. */
	header(): Buffer {
		return Buffer.concat(this.headers());
	}

	/** The same one by one: where several streams share a file, the first pages of all come first. */
	headers(): [head: Buffer, tags: Buffer] {
		const head = Buffer.alloc(19);
		head.write('OpusHead', 'latin1');
		head[8] = 1;
		head[9] = CHANNELS;
		head.writeUInt32LE(48_000, 12);
		const vendor = 'Rostrum';
		const tags = Buffer.alloc(8 + 4 + vendor.length + 4);
		tags.write('OpusTags', 'latin1');
		tags.writeUInt32LE(vendor.length, 8);
		tags.write(vendor, 12, 'latin1');
		return [this.#write([head], FIRST_PAGE), this.#write([tags], 0)];
	}

	/** As few pages as hold the packets; nothing for none. @throws RangeError for a packet of more than 65,024 bytes, which no Opus packet has */
	pages(packets: readonly TrackPacket[]): Buffer {
		const pages: Buffer[] = [];
		let payloads: Buffer[] = [];
		let segments = 0;
		for (const { payload, samples } of packets) {
			const needed = Math.floor(payload.length / 255) + 1;
			if (needed > MAX_SEGMENTS) {
				throw new RangeError(`a packet of ${payload.length} bytes does not fit into a page`);
			}
			if (segments + needed > MAX_SEGMENTS) {
				pages.push(this.#write(payloads, 0));
				payloads = [];
				segments = 0;
			}
			payloads.push(payload);
			segments += needed;
			this.#samples += BigInt(samples);
		}
		if (payloads.length > 0) {
			pages.push(this.#write(payloads, 0));
		}
		return pages.length === 1 && pages[0] ? pages[0] : Buffer.concat(pages);
	}

	/** The last page: no packet, and nothing after it. */
	end(): Buffer {
		return this.#write([], LAST_PAGE);
	}

	#write(payloads: readonly Buffer[], flags: number): Buffer {
		const lacing: number[] = [];
		for (const { length } of payloads) {
			for (let left = length; left >= 255; left -= 255) {
				lacing.push(255);
			}
			lacing.push(length % 255);
		}
		const header = Buffer.alloc(PAGE_HEADER_BYTES + lacing.length);
		header.write('OggS', 'latin1');
		header[5] = flags;
		header.writeBigUInt64LE(this.#samples, 6);
		header.writeUInt32LE(this.#serial, 14);
		header.writeUInt32LE(this.#page++, 18);
		header[26] = lacing.length;
		header.set(lacing, PAGE_HEADER_BYTES);
		const page = Buffer.concat([header, ...payloads]);
		page.writeUInt32LE(crcOf(page), 22);
		return page;
	}
}

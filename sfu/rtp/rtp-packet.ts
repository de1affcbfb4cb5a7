const RTP_VERSION = 2;
const FIXED_HEADER_BYTES = 12;
const CSRC_BYTES = 4;
const ONE_BYTE_PROFILE = 0xbede;
/** Two-byte form: the upper 12 bits are 0x100, the lower 4 are "appbits" (RFC 8285 §4.3). */
const TWO_BYTE_PROFILE = 0x1000;

/** Bytes of a header written by {@link writeRtpHeader} without a CSRC. */
export const RTP_HEADER_BYTES = FIXED_HEADER_BYTES;
/** Bytes of a header written by {@link writeRtpHeader} with one CSRC. */
export const RTP_HEADER_WITH_CSRC_BYTES = FIXED_HEADER_BYTES + CSRC_BYTES;

const NO_BUFFER = Buffer.alloc(0);

/**
 * A parsed RTP packet (RFC 3550 §5.1): numbers read out of the header, everything else as offsets into `buffer`,
 * which it refers to and does not copy. Made by {@link parseRtpPacket} alone; a view handed back to it is overwritten.
 */
export class RtpPacketView {
	buffer: Buffer = NO_BUFFER;
	payloadType = 0;
	marker = false;
	sequenceNumber = 0;
	timestamp = 0;
	ssrc = 0;
	csrcCount = 0;
	/** The 16 bits that name the form of the header extension; 0 when there is none. */
	extensionProfile = 0;
	extensionStart = 0;
	extensionEnd = 0;
	payloadStart = 0;
	/** End of the payload: RTP padding lies behind it. */
	payloadEnd = 0;

	/** Payload without RTP padding, as a subarray; made anew at each call, so keep it. */
	get payload(): Buffer {
		return this.buffer.subarray(this.payloadStart, this.payloadEnd);
	}

	/** The first contributing source, or undefined when there is none. */
	get firstCsrc(): number | undefined {
		return this.csrcCount > 0 ? this.buffer.readUInt32BE(FIXED_HEADER_BYTES) : undefined;
	}

	/** All contributing sources in order. */
	get csrcs(): number[] {
		const list: number[] = [];
		for (let index = 0; index < this.csrcCount; index++) {
			list.push(this.buffer.readUInt32BE(FIXED_HEADER_BYTES + index * CSRC_BYTES));
		}
		return list;
	}
}

/**
 * Parses one whole RTP packet (RFC 3550 §5.1). Header extensions and padding are measured, not copied.
 * @param reuse - a view to overwrite, for a caller that keeps views in a ring; its content is undefined after a failure
 * @returns undefined for anything that is not a well-formed RTP packet: too short, other version, CSRCs, extension
 *   or padding longer than the packet, padding of length 0. Never throws.
 */
export const parseRtpPacket = (buffer: Buffer, reuse?: RtpPacketView): RtpPacketView | undefined => {
	const { length } = buffer;
	if (length < FIXED_HEADER_BYTES) return undefined;
	const first = buffer[0]!;
	if (first >> 6 !== RTP_VERSION) return undefined;

	const csrcCount = first & 0x0f;
	let position = FIXED_HEADER_BYTES + csrcCount * CSRC_BYTES;
	let extensionProfile = 0;
	let extensionStart = 0;
	let extensionEnd = 0;
	if (first & 0x10) {
		if (position + 4 > length) return undefined;
		extensionProfile = (buffer[position]! << 8) | buffer[position + 1]!;
		extensionStart = position + 4;
		extensionEnd = extensionStart + ((buffer[position + 2]! << 8) | buffer[position + 3]!) * 4;
		position = extensionEnd;
	}
	let end = length;
	if (first & 0x20) {
		// The last byte counts itself, so a length of 0 is a contradiction; a padded packet may well be all padding.
		const paddingBytes = buffer[length - 1]!;
		if (paddingBytes === 0) return undefined;
		end -= paddingBytes;
	}
	if (position > end) return undefined;

	const view = reuse ?? new RtpPacketView();
	const second = buffer[1]!;
	view.buffer = buffer;
	view.marker = second >= 0x80;
	view.payloadType = second & 0x7f;
	view.sequenceNumber = (buffer[2]! << 8) | buffer[3]!;
	view.timestamp = ((buffer[4]! << 24) | (buffer[5]! << 16) | (buffer[6]! << 8) | buffer[7]!) >>> 0;
	view.ssrc = ((buffer[8]! << 24) | (buffer[9]! << 16) | (buffer[10]! << 8) | buffer[11]!) >>> 0;
	view.csrcCount = csrcCount;
	view.extensionProfile = extensionProfile;
	view.extensionStart = extensionStart;
	view.extensionEnd = extensionEnd;
	view.payloadStart = position;
	view.payloadEnd = end;
	return view;
};

/**
 * Where the header extension element `id` lies: offset * 256 + length, or -1. One number, so that the hot path
 * looks an element up without allocating.
 */
const locateExtension = (view: RtpPacketView, id: number): number => {
	const { buffer, extensionProfile, extensionEnd } = view;
	let position = view.extensionStart;
	if (extensionProfile === ONE_BYTE_PROFILE) {
		while (position < extensionEnd) {
			const head = buffer[position++]!;
			if (head === 0) continue;
			const elementId = head >> 4;
			// 15 is reserved and an id of 0 with a length is a contradiction: both end the reading (RFC 8285 §4.2).
			if (elementId === 15 || elementId === 0) return -1;
			const length = (head & 0x0f) + 1;
			if (position + length > extensionEnd) return -1;
			if (elementId === id) return position * 256 + length;
			position += length;
		}
	} else if ((extensionProfile & 0xfff0) === TWO_BYTE_PROFILE) {
		while (position < extensionEnd) {
			const elementId = buffer[position++]!;
			if (elementId === 0) continue;
			if (position >= extensionEnd) return -1;
			const length = buffer[position++]!;
			if (position + length > extensionEnd) return -1;
			if (elementId === id) return position * 256 + length;
			position += length;
		}
	}
	return -1;
};

/**
 * Data of the header extension element `id` (RFC 8285, one-byte and two-byte forms) as a subarray.
 * @param id - the negotiated id, 1…14 (one-byte) or 1…255 (two-byte)
 * @returns undefined when the packet has no such element, or it runs over the end of the extension
 */
export const headerExtensionOf = (view: RtpPacketView, id: number): Buffer | undefined => {
	const location = locateExtension(view, id);
	if (location < 0) return undefined;
	const start = Math.floor(location / 256);
	return view.buffer.subarray(start, start + (location & 0xff));
};

/** Raw byte of the audio level extension (V bit and level, RFC 6464 §3), or -1: {@link audioLevelOf} without allocation. */
export const audioLevelByteOf = (view: RtpPacketView, extensionId: number): number => {
	const location = locateExtension(view, extensionId);
	if (location < 0 || (location & 0xff) === 0) return -1;
	return view.buffer[Math.floor(location / 256)]!;
};

/** What a client says of one packet's loudness (RFC 6464). */
export interface AudioLevel {
	/** The encoder believes that it contains speech. Clients that do not detect speech always say false. */
	readonly voice: boolean;
	/** 0 (loudest) … -127 (digital silence), in dBov. */
	readonly levelDbov: number;
}

/** Client-to-mixer audio level of a packet (RFC 6464), or undefined when it carries none under `extensionId`. */
export const audioLevelOf = (view: RtpPacketView, extensionId: number): AudioLevel | undefined => {
	const byte = audioLevelByteOf(view, extensionId);
	if (byte < 0) return undefined;
	// Subtracted rather than negated: -0 is no level.
	return { voice: byte >= 0x80, levelDbov: 0 - (byte & 0x7f) };
};

/** Fields of an outgoing packet: no extension, no padding, at most one contributing source. */
export interface RtpPacketFields {
	/** 0…127 */
	readonly payloadType: number;
	readonly marker: boolean;
	readonly sequenceNumber: number;
	readonly timestamp: number;
	readonly ssrc: number;
	readonly csrc?: number | undefined;
	readonly payload: Uint8Array;
}

/**
 * Writes an RTP header into `buffer` at offset 0: 12 bytes, or 16 when `csrc` is given. The hot path's form of
 * {@link writeRtpPacket}, for a buffer that has its payload in place already.
 */
export const writeRtpHeader = (
	buffer: Buffer,
	payloadType: number,
	marker: boolean,
	sequenceNumber: number,
	timestamp: number,
	ssrc: number,
	csrc: number | undefined,
): void => {
	buffer[0] = csrc === undefined ? 0x80 : 0x81;
	buffer[1] = marker ? payloadType | 0x80 : payloadType;
	buffer[2] = sequenceNumber >> 8;
	buffer[3] = sequenceNumber;
	buffer[4] = timestamp >>> 24;
	buffer[5] = timestamp >>> 16;
	buffer[6] = timestamp >>> 8;
	buffer[7] = timestamp;
	buffer[8] = ssrc >>> 24;
	buffer[9] = ssrc >>> 16;
	buffer[10] = ssrc >>> 8;
	buffer[11] = ssrc;
	if (csrc !== undefined) {
		buffer[12] = csrc >>> 24;
		buffer[13] = csrc >>> 16;
		buffer[14] = csrc >>> 8;
		buffer[15] = csrc;
	}
};

/** A whole RTP packet with a copy of the payload. Numbers are taken modulo their field's width. */
export const writeRtpPacket = (fields: RtpPacketFields): Buffer => {
	const { payloadType, marker, sequenceNumber, timestamp, ssrc, csrc, payload } = fields;
	const headerBytes = csrc === undefined ? RTP_HEADER_BYTES : RTP_HEADER_WITH_CSRC_BYTES;
	const buffer = Buffer.allocUnsafe(headerBytes + payload.length);
	writeRtpHeader(buffer, payloadType & 0x7f, marker, sequenceNumber, timestamp, ssrc, csrc);
	buffer.set(payload, headerBytes);
	return buffer;
};

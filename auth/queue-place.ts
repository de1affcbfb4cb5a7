import { createHmac, createSecretKey, type KeyObject, randomBytes, timingSafeEqual } from 'node:crypto';

/** A place that was not used for so long is gone. */
const TTL_MS = 15 * 60_000;
/** Clocks of nodes differ by less, or their operators have other troubles. */
const CLOCK_TOLERANCE_MS = 5_000;
const TIME_BYTES = 6;
/** How long after the first arrival it was given, in steps of 5 s. */
const AGE_STEP_MS = 5_000;
const HEAD_BYTES = TIME_BYTES + 1;
/** 128 bits of the HMAC: a forger has one try a request. */
const MAC_BYTES = 16;
const LENGTH = Math.ceil(((HEAD_BYTES + MAC_BYTES) * 4) / 3);

/** What a place says; milliseconds since the epoch. */
export interface QueuePlace {
	/** When its holder came first. */
	readonly firstArrivalMs: number;
	/** When the place was given, at most 5 s before the truth. */
	readonly refusedAtMs: number;
}

export interface QueuePlacesOptions {
	/** Shared by all nodes of a cluster; see `deriveClusterKeys`. Default: a random one, good for this process. */
	readonly key?: KeyObject | undefined;
	/** Milliseconds since the epoch. */
	readonly now: () => number;
}

/**
 * Places in the queue for a room: the time of a listener's first arrival, stamped with HMAC-SHA256, so that waiting counts
 * although no node keeps a list of those who wait. 31 characters of base64url: 6 bytes of milliseconds since the
 * epoch, one for the time since then, 16 of the HMAC over these and the room. It names nobody; who gives it away gives away nothing but a turn.
 */
export class QueuePlaces {
	readonly #key: KeyObject;
	readonly #now: () => number;

	constructor({ key = createSecretKey(randomBytes(32)), now }: QueuePlacesOptions) {
		this.#key = key;
		this.#now = now;
	}

	/** @param place times in whole milliseconds */
	issue(roomId: string, { firstArrivalMs, refusedAtMs }: QueuePlace): string {
		const head = Buffer.allocUnsafe(HEAD_BYTES);
		head.writeUIntBE(firstArrivalMs, 0, TIME_BYTES);
		head.writeUInt8(Math.min(255, Math.max(0, Math.floor((refusedAtMs - firstArrivalMs) / AGE_STEP_MS))), TIME_BYTES);
		return Buffer.concat([head, this.#mac(roomId, head)]).toString('base64url');
	}

	/** Undefined for a place that is forged, for another room, or whose holder came first more than 15 minutes ago. */
	read(place: string, roomId: string): QueuePlace | undefined {
		if (place.length !== LENGTH) {
			return undefined;
		}
		const bytes = Buffer.from(place, 'base64url');
		if (bytes.length !== HEAD_BYTES + MAC_BYTES) {
			return undefined;
		}
		const head = bytes.subarray(0, HEAD_BYTES);
		if (!timingSafeEqual(bytes.subarray(HEAD_BYTES), this.#mac(roomId, head))) {
			return undefined;
		}
		const firstArrivalMs = head.readUIntBE(0, TIME_BYTES);
		const nowMs = this.#now();
		if (firstArrivalMs > nowMs + CLOCK_TOLERANCE_MS || firstArrivalMs < nowMs - TTL_MS) {
			return undefined;
		}
		return { firstArrivalMs, refusedAtMs: firstArrivalMs + head.readUInt8(TIME_BYTES) * AGE_STEP_MS };
	}

	#mac(roomId: string, head: Buffer): Buffer {
		// The head has a fixed length, so no other head and room give the same bytes.
		return createHmac('sha256', this.#key).update(head).update(roomId).digest().subarray(0, MAC_BYTES);
	}
}

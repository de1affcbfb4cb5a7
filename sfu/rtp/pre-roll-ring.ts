import { RtpPacketView } from './rtp-packet.ts';
import { sequenceDifference } from './serial-number.ts';

/** Packets further apart than this belong to different runs of a source. */
const MAX_DISTANCE = 100;

/** A packet that is kept in case its source gets a voice, and what became of it. */
export class HeldPacket extends RtpPacketView {
	durationSamples = 0;
	dtx = false;
	/** One bit for each kind of outlet it went out on, or was given up by: it must not go out on another of that kind. */
	sentBits = 0;
}

/**
 * The last packets of one source in order of sequence number, without duplicates. Packets are parsed into
 * {@link PreRollRing.spare}, and then pushed: no object is made once the ring is full.
 */
export class PreRollRing {
	readonly #slots: HeldPacket[] = [];
	readonly #capacity: number;
	#start = 0;
	#count = 0;
	#spare = new HeldPacket();

	constructor(capacity: number) {
		this.#capacity = capacity;
	}

	/** The view to parse the next packet into; not part of the ring until {@link push}. */
	get spare(): HeldPacket {
		return this.#spare;
	}

	get count(): number {
		return this.#count;
	}

	/** The packet at `index`, 0 being the oldest. */
	at(index: number): HeldPacket {
		return this.#slots[(this.#start + index) % this.#capacity]!;
	}

	/** Takes the spare into the ring at its place, the oldest falling out of a full ring; undefined for a duplicate. */
	push(): HeldPacket | undefined {
		const packet = this.#spare;
		if (this.#count > 0 && Math.abs(sequenceDifference(packet.sequenceNumber, this.at(this.#count - 1).sequenceNumber)) > MAX_DISTANCE) {
			this.clear();
		}
		let index = this.#count;
		while (index > 0) {
			const step = sequenceDifference(packet.sequenceNumber, this.at(index - 1).sequenceNumber);
			if (step === 0) return undefined;
			if (step > 0) break;
			index--;
		}
		if (this.#count === this.#capacity) {
			// Older than all in a full ring: too late for any use, and it would only push itself out.
			if (index === 0) return packet;
			this.#spare = this.at(0);
			this.#start = (this.#start + 1) % this.#capacity;
			this.#count--;
			index--;
		} else {
			this.#spare = this.#slots[(this.#start + this.#count) % this.#capacity] ?? new HeldPacket();
		}
		for (let at = this.#count; at > index; at--) this.#set(at, this.at(at - 1));
		this.#set(index, packet);
		this.#count++;
		return packet;
	}

	/** Forgets all packets; their views are kept for reuse. */
	clear(): void {
		this.#count = 0;
	}

	#set(index: number, packet: HeldPacket): void {
		this.#slots[(this.#start + index) % this.#capacity] = packet;
	}
}

import { DomainError } from '../errors.ts';

/** Somebody who wants to come on stage, or was asked to. */
export interface Hand {
	/** Participant id. */
	readonly id: string;
	/** Null for somebody who was invited and has not been heard of yet. */
	readonly subject: string | null;
	readonly name: string;
	/** Null: the hand is down, and there is an invitation alone. */
	readonly raisedAt: string | null;
	readonly invitation: Invitation | null;
}

export interface Invitation {
	/** Name of the host or co-host. */
	readonly by: string;
	/** ISO 8601; nothing is asked any more from then on. */
	readonly expiresAt: string;
}

interface Entry {
	hand: Hand;
	/** Grows with each entry. */
	readonly place: number;
}

/**
 * The hands of one room, in the order in which they went up, and the invitations that are open. Whoever is at the head
 * stays there until dealt with: neither an invitation nor a second raising changes anybody's place.
 *
 * Looking somebody's place up costs O(log n) and taking somebody out O(n) of a plain array: nothing for the thousands
 * that it is bounded to.
 */
export class HandQueue {
	readonly #max: number;
	readonly #entries = new Map<string, Entry>();
	/** Raised hands, in order of place. */
	readonly #raised: Entry[] = [];
	/** Invitations of people whose hand is down, oldest first. */
	readonly #invitedOnly = new Map<string, Entry>();
	#lastPlace = 0;

	/** @param max most hands and invitations together */
	constructor(max: number) {
		this.#max = max;
	}

	/** As `snapshot` gave it. More than fit are let in all the same: they were here before the limit was. */
	restore(hands: readonly Hand[]): void {
		this.#entries.clear();
		this.#raised.length = 0;
		this.#invitedOnly.clear();
		for (const hand of hands) if (!this.#entries.has(hand.id)) this.#insert(hand);
	}

	/** Hands and open invitations. */
	get size(): number {
		return this.#entries.size;
	}

	/** Hands that are up. */
	get raised(): number {
		return this.#raised.length;
	}

	get(id: string): Hand | undefined {
		return this.#entries.get(id)?.hand;
	}

	/** 1 for the head of the queue; null when the hand is down. */
	position(id: string): number | null {
		const entry = this.#entries.get(id);
		return entry === undefined || entry.hand.raisedAt === null ? null : this.#indexOf(entry) + 1;
	}

	/** Whether it was down. Throws DomainError `hands_full`. */
	raise({ id, subject, name }: { id: string; subject: string; name: string }, at: string): boolean {
		const entry = this.#entries.get(id);
		if (entry?.hand.raisedAt != null) {
			entry.hand = Object.freeze({ ...entry.hand, subject, name });
			return false;
		}
		if (entry === undefined) this.#requireRoom();
		else this.remove(id);
		this.#insert({ id, subject, name, raisedAt: at, invitation: entry?.hand.invitation ?? null });
		return true;
	}

	/** The person's own doing: an invitation stays open. Whether the hand was up. */
	lower(id: string): boolean {
		const hand = this.get(id);
		if (hand === undefined || hand.raisedAt === null) return false;
		this.remove(id);
		if (hand.invitation) this.#insert({ ...hand, raisedAt: null });
		return true;
	}

	/** Out of the queue, hand and invitation. Whether there was either. */
	remove(id: string): boolean {
		const entry = this.#entries.get(id);
		if (entry === undefined) return false;
		this.#entries.delete(id);
		if (!this.#invitedOnly.delete(id)) this.#raised.splice(this.#indexOf(entry), 1);
		return true;
	}

	/** Asks somebody, again if need be. Throws DomainError `hands_full`. */
	invite(id: string, invitation: Invitation): void {
		const entry = this.#entries.get(id);
		if (entry) {
			entry.hand = Object.freeze({ ...entry.hand, invitation: Object.freeze({ ...invitation }) });
			return;
		}
		this.#requireRoom();
		this.#insert({ id, subject: null, name: '', raisedAt: null, invitation });
	}

	/** Takes an invitation back, or declines it; the hand stays where it is. Whether there was one. */
	withdraw(id: string): boolean {
		const entry = this.#entries.get(id);
		if (!entry?.hand.invitation) return false;
		if (entry.hand.raisedAt === null) return this.remove(id);
		entry.hand = Object.freeze({ ...entry.hand, invitation: null });
		return true;
	}

	/** Withdraws what nobody answered in time. @returns whose it was */
	expire(nowMs: number): string[] {
		const over = [...this.#entries.values()].filter(({ hand }) => hand.invitation && Date.parse(hand.invitation.expiresAt) <= nowMs).map(({ hand }) => hand.id);
		for (const id of over) this.withdraw(id);
		return over;
	}

	/** When the next invitation ends, in milliseconds since the epoch. */
	get nextExpiryMs(): number | undefined {
		let next: number | undefined;
		for (const { hand } of this.#entries.values()) {
			if (!hand.invitation) continue;
			const atMs = Date.parse(hand.invitation.expiresAt);
			if (next === undefined || atMs < next) next = atMs;
		}
		return next;
	}

	/** Invitations to people whose hand is down first, since they are few and somebody waits for their answer; then hands in order. */
	list({ limit, after }: { limit: number; after?: string }): Hand[] {
		const invited = [...this.#invitedOnly.values()];
		const last = after === undefined ? undefined : this.#entries.get(after);
		// Somebody who has left the queue meanwhile has no place in it: from the beginning again.
		const start = last === undefined ? 0 : last.hand.raisedAt === null ? invited.indexOf(last) + 1 : invited.length + this.#indexOf(last) + 1;
		const hands: Hand[] = [];
		for (let index = start; index < invited.length + this.#raised.length && hands.length < limit; index += 1) {
			const entry = index < invited.length ? invited[index] : this.#raised[index - invited.length];
			if (entry) hands.push(entry.hand);
		}
		return hands;
	}

	/** To be kept, and given to `restore` by the next home. */
	snapshot(): readonly Hand[] {
		return this.list({ limit: this.#entries.size });
	}

	#insert(hand: Hand): void {
		const entry: Entry = { hand: Object.freeze({ ...hand }), place: ++this.#lastPlace };
		this.#entries.set(hand.id, entry);
		if (hand.raisedAt === null) this.#invitedOnly.set(hand.id, entry);
		else this.#raised.push(entry);
	}

	#requireRoom(): void {
		if (this.#entries.size >= this.#max) throw new DomainError('hands_full', `${this.#max} hands are up, which is the limit.`, { retryAfterSeconds: 10 });
	}

	/** Of a raised hand, by halving. */
	#indexOf({ place }: Entry): number {
		let low = 0;
		let high = this.#raised.length;
		while (low < high) {
			const middle = (low + high) >>> 1;
			if ((this.#raised[middle]?.place ?? 0) < place) low = middle + 1;
			else high = middle;
		}
		return low;
	}
}

import { type Hand, HandQueue } from '../rooms/hand-queue.ts';
import { DomainError } from '../errors.ts';
import { type HandEntry, HANDS_SHOWN, type HandsPage } from './protocol.ts';

export interface StageHandsOptions {
	/** Most hands and open invitations together. */
	max: number;
	now: () => Date;
	schedule: (ms: number, task: () => void) => () => void;
	/** Keeps the queue with the stage. */
	keep: (hands: readonly Hand[]) => void;
	/** Shows hosts the head of the queue. */
	show: (page: HandsPage) => void;
}

/** How long an invitation is open. */
export const INVITATION_MS = 120_000;
/** Hosts see at most two changes a second. */
const SHOW_EVERY_MS = 500;
/** The queue is written whole: a burst of hands is a few writes. */
const KEEP_EVERY_MS = 250;

interface Waiter {
	readonly wake: (error?: DomainError) => void;
}

/**
 * The hands of a stage that lives here. A change costs what it changes: whoever it is about is woken, hosts are shown
 * the head of the queue twice a second at most, and the queue is kept four times a second at most.
 */
export class StageHands {
	readonly #options: StageHandsOptions;
	readonly #queue: HandQueue;
	readonly #waiters = new Map<string, Set<Waiter>>();
	#waiting = 0;
	readonly #shown: Paced;
	readonly #kept: Paced;
	#version: number;
	#cancelExpiry: (() => void) | null = null;
	#closed: DomainError | null = null;

	constructor(options: StageHandsOptions) {
		this.#options = options;
		const { max, now, schedule, keep, show } = options;
		this.#queue = new HandQueue(max);
		this.#version = now().getTime();
		this.#shown = new Paced({ everyMs: SHOW_EVERY_MS, now, schedule, run: () => show(this.page({ limit: HANDS_SHOWN })) });
		this.#kept = new Paced({ everyMs: KEEP_EVERY_MS, now, schedule, run: () => keep(this.#queue.snapshot()) });
	}

	/** As an earlier home has kept it. */
	restore(hands: readonly Hand[]): void {
		this.#queue.restore(hands);
		this.#expireLater();
	}

	get(id: string): Hand | undefined {
		return this.#queue.get(id);
	}
	position(id: string): number | null {
		return this.#queue.position(id);
	}
	/** Raised hands. */
	get raised(): number {
		return this.#queue.raised;
	}

	/** Throws DomainError `hands_full`. */
	raise(person: { id: string; subject: string; name: string }): void {
		if (this.#queue.raise(person, this.#options.now().toISOString())) this.#changed(person.id);
	}

	/** The person's own doing. */
	lower(id: string): void {
		if (this.#queue.lower(id)) this.#changed(id);
	}

	/** Hand and invitation are gone. Whether there was either. */
	remove(id: string): boolean {
		const was = this.#queue.remove(id);
		if (was) this.#changed(id);
		return was;
	}

	/** Throws DomainError `hands_full`. */
	invite(id: string, by: string): void {
		this.#queue.invite(id, { by, expiresAt: new Date(this.#options.now().getTime() + INVITATION_MS).toISOString() });
		this.#changed(id);
		this.#expireLater();
	}

	decline(id: string): void {
		if (this.#queue.withdraw(id)) this.#changed(id);
	}

	page(range: { limit: number; after?: string }): HandsPage {
		return { hands: this.#queue.list(range).map(handEntry), total: this.#queue.size, version: this.#version };
	}

	/** Something about this person has changed that is not in the queue. */
	nudge(id: string): void {
		for (const { wake } of this.#waiters.get(id) ?? []) wake();
	}

	/**
	 * Resolves when something about this person changes, or after `ms`. Rejects with `too_many_requests` when as many
	 * wait as there may be hands, and when this stage is closed.
	 */
	async change(id: string, ms: number): Promise<void> {
		if (this.#closed) throw this.#closed;
		if (this.#waiting >= this.#options.max) throw new DomainError('too_many_requests', 'Too many wait to hear of their hands.', { retryAfterSeconds: 5 });
		const { promise, resolve, reject } = Promise.withResolvers<void>();
		const waiter: Waiter = { wake: (error) => (error ? reject(error) : resolve()) };
		const waiters = this.#waiters.get(id) ?? new Set();
		this.#waiters.set(id, waiters.add(waiter));
		this.#waiting += 1;
		const cancel = this.#options.schedule(ms, resolve);
		try {
			await promise;
		} finally {
			cancel();
			this.#waiting -= 1;
			waiters.delete(waiter);
			if (waiters.size === 0 && this.#waiters.get(id) === waiters) this.#waiters.delete(id);
		}
	}

	/** Resolves once everything up to now was given to `keep`. Rejects when this stage is closed before. */
	async whenKept(): Promise<void> {
		await this.#kept.settled();
		if (this.#closed) throw this.#closed;
	}

	/** What is still to be kept is kept now. */
	keepNow(): void {
		this.#kept.now();
	}

	/** Nothing happens any more, and whoever waits for something is told `reason`. Idempotent. */
	close(reason: DomainError): void {
		if (this.#closed) return;
		this.#closed = reason;
		this.#cancelExpiry?.();
		this.#shown.close();
		this.#kept.close();
		for (const waiters of this.#waiters.values()) for (const { wake } of waiters) wake(reason);
	}

	#changed(id: string): void {
		// As the clock goes, so that the next home, which begins anew, goes on above.
		this.#version = Math.max(this.#version + 1, this.#options.now().getTime());
		this.#shown.due();
		this.#kept.due();
		this.nudge(id);
	}

	#expireLater(): void {
		this.#cancelExpiry?.();
		this.#cancelExpiry = null;
		const nextMs = this.#queue.nextExpiryMs;
		if (nextMs === undefined || this.#closed) return;
		const { now, schedule } = this.#options;
		this.#cancelExpiry = schedule(Math.max(0, nextMs - now().getTime()), () => {
			for (const id of this.#queue.expire(now().getTime())) this.#changed(id);
			this.#expireLater();
		});
	}
}

/** Runs something at once when it is due, and then not again before a while has gone by. */
class Paced {
	readonly #options: { everyMs: number; now: () => Date; schedule: (ms: number, task: () => void) => () => void; run: () => void };
	#cancel: (() => void) | null = null;
	#due = false;
	#settled: PromiseWithResolvers<void> | null = null;

	constructor(options: { everyMs: number; now: () => Date; schedule: (ms: number, task: () => void) => () => void; run: () => void }) {
		this.#options = options;
	}

	due(): void {
		this.#due = true;
		if (!this.#cancel) this.#run();
	}

	/** Resolves when nothing is due. */
	settled(): Promise<void> {
		if (!this.#due) return Promise.resolve();
		this.#settled ??= Promise.withResolvers<void>();
		return this.#settled.promise;
	}

	now(): void {
		if (this.#due) this.#do();
	}

	/** What is due is not done any more. */
	close(): void {
		this.#cancel?.();
		this.#cancel = null;
		this.#due = false;
		this.#settled?.resolve();
		this.#settled = null;
	}

	#run(): void {
		this.#do();
		const { everyMs, schedule } = this.#options;
		this.#cancel = schedule(everyMs, () => {
			this.#cancel = null;
			if (this.#due) this.#run();
		});
	}

	#do(): void {
		this.#due = false;
		this.#options.run();
		this.#settled?.resolve();
		this.#settled = null;
	}
}

function handEntry({ id, name, raisedAt, invitation }: Hand): HandEntry {
	return {
		id,
		name,
		raisedAt: raisedAt ?? new Date(Date.parse(invitation?.expiresAt ?? '') - INVITATION_MS).toISOString(),
		invited: invitation !== null,
		raised: raisedAt !== null,
	};
}

import { createHash } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import type { FastifyBaseLogger } from 'fastify';
import { DomainError } from '../../errors.ts';
import type { CardAnswer, CardOrder } from './card-worker.ts';
import type { ShareFacts } from './share-facts.ts';

export interface ShareCardsOptions {
	log: Pick<FastifyBaseLogger, 'warn'>;
	/** Kept in memory at most (default 8 MiB): some 200 cards. */
	maxBytes?: number;
	/** Cards that may wait for their turn (default 16); each takes a tenth of a second. */
	maxWaiting?: number;
}

interface Order {
	readonly resolve: (png: Buffer) => void;
	readonly reject: (error: Error) => void;
}

const MAX_BYTES = 8 * 1_024 * 1_024;
const MAX_WAITING = 16;
/** The thread and its fonts are given up when nobody has asked for so long. */
const IDLE_MS = 60_000;
const TIMEOUT_MS = 15_000;

/** Share cards as PNG, 1200 × 630: drawn one at a time in a thread of their own, once for all who ask, and kept in memory. */
export class ShareCards {
	readonly #options: ShareCardsOptions;
	/** The one asked for last comes last. */
	readonly #kept = new Map<string, Buffer>();
	#keptBytes = 0;
	readonly #drawing = new Map<string, Promise<Buffer>>();
	readonly #orders = new Map<number, Order>();
	#orderNumber = 0;
	#worker: Worker | undefined;
	#timer: NodeJS.Timeout | undefined;
	#closed = false;

	constructor(options: ShareCardsOptions) {
		this.#options = options;
	}

	/** Differs between cards that look different. */
	static tagOf(facts: ShareFacts): string {
		const { id, title, state, startMs, host } = facts;
		return createHash('sha256').update(JSON.stringify([id, title, state, startMs, host])).digest('base64url').slice(0, 16);
	}

	/** Rejects with DomainError `too_many_requests` when too many different cards are asked for at once. */
	async card(facts: ShareFacts): Promise<Buffer> {
		const tag = ShareCards.tagOf(facts);
		const kept = this.#kept.get(tag);
		if (kept) {
			this.#kept.delete(tag);
			this.#kept.set(tag, kept);
			return kept;
		}
		const under = this.#drawing.get(tag);
		if (under) {
			return under;
		}
		const drawing = this.#draw(facts)
			.then((png) => this.#keep(tag, png))
			.finally(() => this.#drawing.delete(tag));
		this.#drawing.set(tag, drawing);
		return drawing;
	}

	close(): void {
		this.#closed = true;
		this.#end(new DomainError('shutting_down', 'This server is shutting down; come back in a moment.', { retryAfterSeconds: 5 }));
		this.#kept.clear();
	}

	#keep(tag: string, png: Buffer): Buffer {
		this.#kept.set(tag, png);
		this.#keptBytes += png.length;
		for (const [oldest, { length }] of this.#kept) {
			if (this.#keptBytes <= (this.#options.maxBytes ?? MAX_BYTES)) {
				break;
			}
			this.#kept.delete(oldest);
			this.#keptBytes -= length;
		}
		return png;
	}

	async #draw(facts: ShareFacts): Promise<Buffer> {
		if (this.#closed) {
			throw new DomainError('shutting_down', 'This server is shutting down; come back in a moment.', { retryAfterSeconds: 5 });
		}
		if (this.#orders.size >= (this.#options.maxWaiting ?? MAX_WAITING)) {
			throw new DomainError('too_many_requests', 'Too many cards are being drawn at the moment.', { retryAfterSeconds: 2 });
		}
		const worker = (this.#worker ??= this.#begin());
		const number = ++this.#orderNumber;
		const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
		this.#orders.set(number, { resolve, reject });
		worker.postMessage({ order: number, facts } satisfies CardOrder, []);
		this.#watch();
		return promise;
	}

	#begin(): Worker {
		const worker = new Worker(new URL('./card-worker.ts', import.meta.url), { name: 'share-cards' });
		worker.unref();
		worker.on('message', (answer: CardAnswer) => this.#answered(answer));
		const gone = (error: Error) => {
			if (this.#worker === worker) {
				this.#options.log.warn({ err: error }, 'the thread that draws share cards ended; the next card begins another');
				this.#end(error);
			}
		};
		worker.on('error', gone).on('exit', (code) => gone(new Error(`the thread ended with ${code}`)));
		return worker;
	}

	#answered(answer: CardAnswer): void {
		const order = this.#orders.get(answer.order);
		this.#orders.delete(answer.order);
		this.#watch();
		if ('png' in answer) {
			order?.resolve(Buffer.from(answer.png.buffer));
		} else {
			order?.reject(new Error(`a share card could not be drawn: ${answer.error}`));
		}
	}

	/** For a thread that answers no more, and for one that nobody needs. */
	#watch(): void {
		clearTimeout(this.#timer);
		this.#timer = setTimeout(() => this.#end(new Error('the thread that draws share cards does not answer')), this.#orders.size > 0 ? TIMEOUT_MS : IDLE_MS).unref();
	}

	#end(error: Error): void {
		clearTimeout(this.#timer);
		const worker = this.#worker;
		this.#worker = undefined;
		void worker?.terminate();
		for (const { reject } of this.#orders.values()) {
			reject(error);
		}
		this.#orders.clear();
	}
}

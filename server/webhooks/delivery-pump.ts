import type { Logger } from 'pino';
import { webhookHeaders } from '../../auth/webhook-signature.ts';
import type { Attempt, Delivery, Outbox } from './outbox.ts';
import { retryDelayMs, type RetryRule } from './retry-delay.ts';
import type { Sender } from './sender.ts';
import { secretsOf, type StoredWebhook } from './webhook.ts';

export interface DeliveryPumpOptions extends RetryRule {
	outbox: Outbox;
	sender: Pick<Sender, 'post'>;
	webhook: (id: string) => StoredWebhook | undefined;
	/** The receiver said that it is gone for good. */
	onGone: (webhookId: string) => void;
	now: () => number;
	/** In [0, 1). */
	random: () => number;
	schedule: (ms: number, task: () => void) => () => void;
	log: Pick<Logger, 'error' | 'warn'>;
}

const CONCURRENT = 32;
/** Of one webhook, so that a slow receiver does not hold up the others. */
const CONCURRENT_EACH = 4;
/** Looked at in one go. */
const LOOK = 256;
const KEPT_ATTEMPTS = 20;
/** Timers cannot count further; and whatever was missed is found then. */
const LONGEST_SLEEP_MS = 60_000;
const GONE = 410;

/**
 * Sends what is due in the outbox, again and again until the receiver has it or it is given up. Delivered is what was
 * answered with 2xx; a crash between the answer and its note sends the message once more, under the same id.
 */
export class DeliveryPump {
	readonly #options: DeliveryPumpOptions;
	/** Webhook → ids of deliveries under way. */
	readonly #underWay = new Map<string, Set<string>>();
	/** Since the start: attempts that ended well and badly, and deliveries that were given up. */
	readonly totals = { delivered: 0, failed: 0, dead: 0 };
	#running = 0;
	#cancel: () => void = () => {};
	#closed = false;
	#idle = Promise.withResolvers<void>();

	constructor(options: DeliveryPumpOptions) {
		this.#options = options;
	}

	/** Looks at once for what is due. */
	kick(): void {
		if (this.#closed) return;
		this.#cancel();
		const { outbox, now, schedule, log } = this.#options;
		const nowMs = now();
		let passedOver = false;
		try {
			for (const delivery of outbox.due(nowMs, LOOK)) {
				if (this.#running >= CONCURRENT) break;
				passedOver = !this.#begin(delivery) || passedOver;
			}
			// Whoever is passed over now is looked at when one of its own is through; after a look that found only such, later too.
			const nextMs = outbox.nextAfter(nowMs);
			const sleepMs = Math.min(LONGEST_SLEEP_MS, nextMs === undefined ? LONGEST_SLEEP_MS : nextMs - nowMs, passedOver ? 1_000 : LONGEST_SLEEP_MS);
			this.#cancel = schedule(Math.max(1, sleepMs), () => this.kick());
		} catch (err) {
			log.error({ err }, 'the outbox of webhooks cannot be read');
			this.#cancel = schedule(LONGEST_SLEEP_MS, () => this.kick());
		}
	}

	/** Begins nothing more, and resolves when what is under way is through. Idempotent. */
	async close(): Promise<void> {
		this.#closed = true;
		this.#cancel();
		if (this.#running > 0) await this.#idle.promise;
	}

	/** Whether it is under way, or needs not be. */
	#begin(delivery: Delivery): boolean {
		const webhook = this.#options.webhook(delivery.webhook);
		if (webhook?.enabled !== true) return false;
		const underWay = this.#underWay.get(webhook.id) ?? new Set<string>();
		if (underWay.has(delivery.id)) return true;
		if (underWay.size >= CONCURRENT_EACH) return false;
		this.#underWay.set(webhook.id, underWay.add(delivery.id));
		this.#running++;
		void this.#attempt(webhook, delivery).finally(() => {
			underWay.delete(delivery.id);
			if (underWay.size === 0) this.#underWay.delete(webhook.id);
			this.#running--;
			if (this.#closed && this.#running === 0) this.#idle.resolve();
			this.kick();
		});
		return true;
	}

	async #attempt(webhook: StoredWebhook, delivery: Delivery): Promise<void> {
		const { outbox, sender, onGone, now, random, log } = this.#options;
		const { event, payload, type } = delivery;
		const startedMs = now();
		try {
			const { status, error, retryAfterSeconds } = await sender.post(webhook.url, webhookHeaders(secretsOf(webhook, startedMs), event, startedMs / 1000, payload), payload);
			const done = status !== undefined && status >= 200 && status < 300;
			const attempt: Attempt = {
				at: new Date(startedMs).toISOString(),
				...(status === undefined ? {} : { status }),
				...(error === undefined ? {} : { error }),
				durationMs: Math.max(0, now() - startedMs),
			};
			// It may have been removed, or retried by hand, meanwhile.
			const fresh = outbox.get(delivery.id);
			if (!fresh) return;
			const attempts = fresh.attempts + 1;
			const pauseMs = done || status === GONE ? undefined : retryDelayMs(this.#options, attempts, random(), retryAfterSeconds);
			const state = done ? 'delivered' : pauseMs === undefined ? 'dead' : 'pending';
			outbox.save({ ...fresh, attempts, state, nextMs: now() + (pauseMs ?? 0), log: [attempt, ...fresh.log].slice(0, KEPT_ATTEMPTS) });
			this.totals[done ? 'delivered' : 'failed']++;
			if (state === 'dead') this.totals.dead++;
			if (state === 'dead') log.warn({ webhook: webhook.id, event, type, attempts, status, reason: error }, 'a webhook could not be told of an event; the delivery is given up until it is retried');
			if (status === GONE) onGone(webhook.id);
		} catch (err) {
			log.error({ err, webhook: webhook.id, event, type }, 'a delivery to a webhook failed unexpectedly');
		}
	}
}

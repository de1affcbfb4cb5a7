import { createHash, randomBytes } from 'node:crypto';
import path from 'node:path';
import type { Logger } from 'pino';
import { newWebhookSecret } from '../../auth/webhook-signature.ts';
import type { Config } from '../../config/schema.ts';
import type { ClusterView } from '../cluster/cluster-view.ts';
import type { PeerHandlers, Peers } from '../cluster/peer-protocol.ts';
import { DomainError } from '../errors.ts';
import type { SharedRecords } from '../records/shared-records.ts';
import { DeliveryPump } from './delivery-pump.ts';
import { type Delivery, type DeliveryQuery, Outbox } from './outbox.ts';
import { Sender } from './sender.ts';
import { type StoredWebhook, wants, webhookResource } from './webhook.ts';
import type { WebhookAdmin } from './webhook-admin.ts';
import { DEFAULT_OVERLAP_SECONDS, type NewWebhook, TEST_EVENT, type WebhookDelivery, type WebhookEventType, type WebhookPatch, type WebhookResource } from './webhook-schemas.ts';

export interface WebhooksOptions {
	config: Config['webhooks'];
	dataDir: string;
	nodeId: string;
	records: SharedRecords<StoredWebhook>;
	view: Pick<ClusterView, 'nodeId' | 'nodes'>;
	peers: Peers;
	now: () => number;
	random: () => number;
	/** Unique and unguessable. */
	newId: () => string;
	schedule: (ms: number, task: () => void) => () => void;
	log: Pick<Logger, 'error' | 'warn' | 'info'>;
}

/** Something that happened, to be told once. */
export interface WebhookEvent {
	type: WebhookEventType;
	room?: string;
	data: Record<string, unknown>;
	/** What makes it this event and no other, in all nodes' eyes: told twice with the same key, it is the same message. Default: unique. */
	key?: string;
	/** When it happened, in milliseconds since the epoch. Default: now. */
	atMs?: number;
}

const DAY_MS = 86_400_000;
const KEEP = { delivered: 7 * DAY_MS, dead: 30 * DAY_MS, told: 400 * DAY_MS };
const PRUNE_EVERY_MS = 3_600_000;
const MAX_WEBHOOKS = 100;
/** Waiting messages of one webhook; beyond that a receiver that is gone would fill the disk. */
const MAX_PENDING = 10_000;
const PEER_TIMEOUT_MS = 2_000;
const OWNER_OF_DELIVERY = /^[0-9a-f]{12}-[0-9a-f]{5}-(.+)$/;

/**
 * Tells programs elsewhere what happens here. An event is put into this node's outbox before anything else is done about
 * it, and sent from there until it is received: at least once, with an id that stays. Which webhooks there are, all nodes
 * know; which node tells of what is settled by whoever emits: the node that made the change, which is the room's home.
 */
export class Webhooks implements WebhookAdmin {
	readonly #options: WebhooksOptions;
	readonly #outbox: Outbox;
	readonly #sender: Sender;
	readonly #pump: DeliveryPump;
	#lastMs = 0;
	#count = 0;
	#cancelPrune: () => void = () => {};
	#lost = 0;
	#closed = false;

	/** Sends what an earlier process has left. Rejects when the outbox cannot be opened. */
	static async open(options: WebhooksOptions): Promise<Webhooks> {
		const webhooks = new Webhooks(options, Outbox.open(path.join(options.dataDir, 'webhooks.db')));
		webhooks.#prune();
		webhooks.#pump.kick();
		options.records.on('changed', (id, webhook) => {
			if (webhook === undefined) webhooks.#outbox.removeOf(id);
			else webhooks.#pump.kick();
		});
		return webhooks;
	}

	private constructor(options: WebhooksOptions, outbox: Outbox) {
		const { config, records, now, random, schedule, log } = options;
		this.#options = options;
		this.#outbox = outbox;
		this.#sender = new Sender(config);
		this.#pump = new DeliveryPump({
			...config,
			outbox,
			sender: this.#sender,
			webhook: (id) => records.get(id),
			onGone: (id) => void this.#disable(id, 'the receiver answered 410 Gone'),
			now, random, schedule, log,
		});
	}

	/** In how many states how many messages are, on this node. */
	get counts(): Record<WebhookDelivery['state'], number> {
		return this.#outbox.counts;
	}

	/** Since the start; `lost` could not even be put into the outbox. */
	get totals(): Readonly<Record<'delivered' | 'failed' | 'dead' | 'lost', number>> {
		return { ...this.#pump.totals, lost: this.#lost };
	}

	/** For how long the oldest message has been waiting for a webhook that is switched on; 0 when none does. */
	get oldestPendingMs(): number {
		const { records, now } = this.#options;
		const nowMs = now();
		return Math.max(0, ...this.#outbox.oldestPending.filter(({ webhook }) => records.get(webhook)?.enabled === true).map(({ createdMs }) => nowMs - createdMs));
	}

	/** On disk when this returns. Never throws: what has happened has happened. */
	emit(event: WebhookEvent): void {
		const { records, now, log, newId } = this.#options;
		if (this.#closed) return;
		const nowMs = now();
		const id = messageId(event.key === undefined ? newId() : `${event.type} ${event.key}`);
		const payload = payloadOf(event.type, event.atMs ?? nowMs, event.room, event.data);
		try {
			if (event.key !== undefined && this.#outbox.wasTold(id)) return;
			const receivers = records.values.filter((webhook) => wants(webhook, event.type, event.room));
			// Events that nobody would ask about later leave no trace when nobody wants them now.
			if (receivers.length === 0 && event.key === undefined) return;
			this.#outbox.add(id, receivers.map((webhook) => this.#delivery(webhook, id, event.type, event.room, payload, nowMs)), nowMs);
		} catch (err) {
			this.#lost++;
			log.error({ err, type: event.type, room: event.room }, 'an event could not be put into the outbox of webhooks: look after the disk');
		}
		this.#pump.kick();
	}

	get all(): readonly WebhookResource[] {
		const nowMs = this.#options.now();
		return this.#options.records.values.map((webhook) => webhookResource(webhook, nowMs));
	}

	async create(input: NewWebhook, by: string): Promise<WebhookResource & { secret: string }> {
		const { records, newId, now } = this.#options;
		this.#requireUsable(input.url);
		if (records.values.length >= MAX_WEBHOOKS) throw new DomainError('invalid_request', `There can be ${MAX_WEBHOOKS} webhooks`);
		const webhook: StoredWebhook = {
			id: `wh_${newId().replaceAll('-', '').slice(0, 22)}`,
			url: input.url,
			events: [...(input.events ?? [])],
			rooms: [...(input.rooms ?? [])],
			...(input.description === undefined ? {} : { description: input.description }),
			enabled: true,
			createdAt: new Date(now()).toISOString(),
			createdBy: by,
			secret: newWebhookSecret(randomBytes),
		};
		await records.put(webhook.id, webhook);
		return { ...webhookResource(webhook, now()), secret: webhook.secret };
	}

	async change(id: string, patch: WebhookPatch): Promise<WebhookResource> {
		if (patch.url !== undefined) this.#requireUsable(patch.url);
		const { disabledReason, ...before } = this.#require(id);
		const webhook: StoredWebhook = {
			...before,
			// Why it was switched off counts until somebody decides anew whether it is.
			...(disabledReason === undefined || patch.enabled !== undefined ? {} : { disabledReason }),
			...(patch.url === undefined ? {} : { url: patch.url }),
			...(patch.events === undefined ? {} : { events: [...patch.events] }),
			...(patch.rooms === undefined ? {} : { rooms: [...patch.rooms] }),
			...(patch.description === undefined ? {} : { description: patch.description }),
			...(patch.enabled === undefined ? {} : { enabled: patch.enabled }),
		};
		await this.#options.records.put(id, webhook);
		return webhookResource(webhook, this.#options.now());
	}

	async remove(id: string): Promise<void> {
		if (!(await this.#options.records.remove(id))) throw notFound();
	}

	async rotate(id: string, overlapSeconds = DEFAULT_OVERLAP_SECONDS): Promise<{ secret: string; previousUntil: string }> {
		const { records, now } = this.#options;
		const { previous: _older, ...before } = this.#require(id);
		const secret = newWebhookSecret(randomBytes);
		const nowMs = now();
		const untilMs = nowMs + overlapSeconds * 1_000;
		// A secret that signs no more is not kept.
		const previous = overlapSeconds > 0 ? { previous: { secret: before.secret, untilMs } } : {};
		await records.put(id, { ...before, ...previous, secret, rotatedAt: new Date(nowMs).toISOString() });
		return { secret, previousUntil: new Date(untilMs).toISOString() };
	}

	test(id: string): { event: string; delivery: string } {
		const { now, newId } = this.#options;
		const webhook = this.#require(id);
		const event = messageId(newId());
		const delivery = this.#delivery(webhook, event, TEST_EVENT, undefined, payloadOf(TEST_EVENT, now(), undefined, { webhook: id }), now());
		this.#outbox.add(event, [delivery], now());
		this.#pump.kick();
		return { event, delivery: delivery.id };
	}

	async deliveries(query: DeliveryQuery): Promise<{ deliveries: WebhookDelivery[]; next: string | undefined; missing: string[] }> {
		const { view, peers, log } = this.#options;
		this.#require(query.webhook);
		// One more than asked for tells whether there is a next page.
		const wanted = { ...query, limit: query.limit + 1 };
		const missing: string[] = [];
		const pages = await Promise.all(
			view.nodes().map(async ({ nodeId }) => {
				if (nodeId === view.nodeId) return this.#deliveriesHere(wanted);
				try {
					return (await peers.request(nodeId, 'webhookDeliveries', wanted, { timeoutMs: PEER_TIMEOUT_MS })).deliveries;
				} catch (err) {
					log.warn({ err, peer: nodeId }, 'deliveries of a node could not be listed');
					missing.push(nodeId);
					return [];
				}
			}),
		);
		const all = pages.flat().toSorted((a, b) => (a.id < b.id ? 1 : a.id > b.id ? -1 : 0));
		const deliveries = all.slice(0, query.limit);
		return { deliveries, next: all.length > query.limit ? deliveries.at(-1)?.id : undefined, missing };
	}

	async retry(webhook: string, delivery: string): Promise<WebhookDelivery> {
		const { view, peers } = this.#options;
		const nodeId = OWNER_OF_DELIVERY.exec(delivery)?.[1];
		if (nodeId === undefined || nodeId === view.nodeId || !view.nodes().some((node) => node.nodeId === nodeId)) return this.#retryHere(webhook, delivery);
		return await peers.request(nodeId, 'retryDelivery', { webhook, delivery });
	}

	readonly handlers: Pick<PeerHandlers, 'webhookDeliveries' | 'retryDelivery'> = {
		webhookDeliveries: async (query) => ({ deliveries: this.#deliveriesHere(query) }),
		retryDelivery: async ({ webhook, delivery }) => this.#retryHere(webhook, delivery),
	};

	/** What is under way may end; the rest waits for the next start. Idempotent. */
	async close(): Promise<void> {
		if (this.#closed) return;
		this.#closed = true;
		this.#cancelPrune();
		await this.#pump.close();
		this.#sender.close();
		this.#outbox.close();
	}

	#deliveriesHere(query: DeliveryQuery): WebhookDelivery[] {
		return this.#outbox.list(query).map((delivery) => this.#shown(delivery));
	}

	#retryHere(webhook: string, id: string): WebhookDelivery {
		const delivery = this.#outbox.get(id);
		if (delivery?.webhook !== webhook) throw notFound();
		// Its attempts begin anew, or it would be given up after one.
		const again: Delivery = { ...delivery, state: 'pending', attempts: 0, nextMs: this.#options.now() };
		this.#outbox.save(again);
		this.#pump.kick();
		return this.#shown(again);
	}

	#delivery(webhook: StoredWebhook, event: string, type: string, room: string | undefined, payload: string, nowMs: number): Delivery {
		const atMs = Math.max(nowMs, this.#lastMs);
		this.#count = atMs === this.#lastMs ? this.#count + 1 : 0;
		this.#lastMs = atMs;
		const id = `${atMs.toString(16).padStart(12, '0')}-${this.#count.toString(16).padStart(5, '0')}-${this.#options.nodeId}`;
		const full = this.#outbox.pendingOf(webhook.id) >= MAX_PENDING;
		if (full) this.#pump.totals.dead++;
		const log = full ? [{ at: new Date(nowMs).toISOString(), error: 'outbox_full', durationMs: 0 }] : [];
		return { id, webhook: webhook.id, event, type, room, payload, createdMs: nowMs, state: full ? 'dead' : 'pending', attempts: 0, nextMs: nowMs, log };
	}

	#shown({ id, webhook, event, type, room, state, createdMs, attempts, nextMs, log, payload }: Delivery): WebhookDelivery {
		return {
			id, webhook, event, type,
			...(room === undefined ? {} : { room }),
			node: this.#options.nodeId,
			state,
			createdAt: new Date(createdMs).toISOString(),
			attempts,
			...(state === 'pending' ? { nextAttemptAt: new Date(nextMs).toISOString() } : {}),
			log,
			payload: JSON.parse(payload) as unknown,
		};
	}

	async #disable(id: string, reason: string): Promise<void> {
		const { records, log } = this.#options;
		const webhook = records.get(id);
		if (webhook?.enabled !== true) return;
		log.warn({ webhook: id, reason }, 'a webhook is switched off');
		await records.put(id, { ...webhook, enabled: false, disabledReason: reason }).catch((err: unknown) => log.error({ err, webhook: id }, 'a webhook could not be switched off'));
	}

	#require(id: string): StoredWebhook {
		const webhook = this.#options.records.get(id);
		if (!webhook) throw notFound();
		return webhook;
	}

	#requireUsable(address: string): void {
		const url = URL.canParse(address) ? new URL(address) : undefined;
		const refuse = (detail: string): never => {
			throw new DomainError('invalid_request', detail, { extra: { reason: 'bad_webhook_url' } });
		};
		if (url === undefined) return refuse('The address of a webhook is a whole URL');
		if (url.username !== '' || url.password !== '') refuse('The address of a webhook holds no user name and no password: messages are signed');
		if (url.protocol !== 'https:' && !(url.protocol === 'http:' && this.#options.config.allowPrivateAddresses)) refuse('The address of a webhook begins with https://');
	}

	#prune(): void {
		const nowMs = this.#options.now();
		try {
			this.#outbox.prune({ deliveredMs: nowMs - KEEP.delivered, deadMs: nowMs - KEEP.dead, toldMs: nowMs - KEEP.told });
		} catch (err) {
			this.#options.log.error({ err }, 'the outbox of webhooks cannot be tidied up');
		}
		this.#cancelPrune = this.#options.schedule(PRUNE_EVERY_MS, () => this.#prune());
	}
}

const notFound = () => new DomainError('webhook_not_found', 'There is no such webhook or delivery');

/** Standard Webhooks asks for an id without dots. */
const messageId = (key: string): string => `msg_${createHash('sha256').update(key).digest('base64url').slice(0, 27)}`;

const payloadOf = (type: string, atMs: number, room: string | undefined, data: Record<string, unknown>): string =>
	JSON.stringify({ type, timestamp: new Date(atMs).toISOString(), data: { ...(room === undefined ? {} : { room }), ...data } });

import type { DeliveryQuery } from './outbox.ts';
import type { NewWebhook, WebhookDelivery, WebhookPatch, WebhookResource } from './webhook-schemas.ts';

/** What operators do with webhooks, as the HTTP API needs it. `Webhooks` implements it. Rejections are DomainErrors. */
export interface WebhookAdmin {
	readonly all: readonly WebhookResource[];
	/** The secret is told this once. Rejects with `invalid_request` for an address that events are not sent to. */
	create(input: NewWebhook, by: string): Promise<WebhookResource & { secret: string }>;
	change(id: string, patch: WebhookPatch): Promise<WebhookResource>;
	/** With what waits for it, on every node. */
	remove(id: string): Promise<void>;
	/** A new secret, told this once. The old one signs too for so many seconds (default: a day); one before that does no more. */
	rotate(id: string, overlapSeconds?: number): Promise<{ secret: string; previousUntil: string }>;
	/** Sends a message that says nothing. */
	test(id: string): { event: string; delivery: string };
	/** Of all nodes, newest first. */
	deliveries(query: DeliveryQuery): Promise<{ deliveries: WebhookDelivery[]; next: string | undefined; missing: string[] }>;
	/** Tries it again now, wherever it lies and whatever became of it. */
	retry(webhook: string, delivery: string): Promise<WebhookDelivery>;
}

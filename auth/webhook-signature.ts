import { Webhook } from 'standardwebhooks';

/** Of Standard Webhooks: 24 to 64 random bytes, base64, after this. */
const PREFIX = 'whsec_';
const SECRET_BYTES = 32;

/** @param random so many fresh unguessable bytes, e.g. node:crypto's `randomBytes` */
export const newWebhookSecret = (random: (bytes: number) => Buffer): string => PREFIX + random(SECRET_BYTES).toString('base64');

/**
 * The headers that a receiver verifies a message by (Standard Webhooks, standardwebhooks.com): HMAC-SHA256 over id, time
 * and body. While a secret is being replaced there is a signature with each, so that receivers can change over when they like.
 *
 * @param secrets newest first
 * @param atSeconds of this attempt, since the epoch: receivers refuse old ones
 */
export const webhookHeaders = (secrets: readonly string[], messageId: string, atSeconds: number, payload: string): Record<string, string> => {
	const at = new Date(Math.floor(atSeconds) * 1000);
	return {
		'webhook-id': messageId,
		'webhook-timestamp': String(Math.floor(atSeconds)),
		'webhook-signature': secrets.map((secret) => new Webhook(secret).sign(messageId, at, payload)).join(' '),
	};
};

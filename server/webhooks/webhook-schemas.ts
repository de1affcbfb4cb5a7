import { type Static, Type } from 'typebox';
import { RoomId } from '../rooms/room.ts';

const strict = { additionalProperties: false } as const;
const Instant = Type.String({ format: 'date-time' });

/** What webhooks are told. */
export const WEBHOOK_EVENTS = [
	'room.created', 'room.opened', 'room.live', 'room.ended', 'room.removed', 'room.reported',
	'stage.joined', 'stage.left',
	'overflow.started', 'recording.ready', 'recording.hindered', 'recording.resumed', 'node.lost',
] as const;
export type WebhookEventType = (typeof WEBHOOK_EVENTS)[number];
/** Sent when it is asked for, to one webhook alone. */
export const TEST_EVENT = 'webhook.test';

const url = Type.String({ minLength: 8, maxLength: 2_048, pattern: '^https?://[^\\s]+$', description: 'Where events are sent: https, to a public address, unless the configuration allows others' });
const events = Type.Array(Type.Enum([...WEBHOOK_EVENTS]), { maxItems: WEBHOOK_EVENTS.length, uniqueItems: true, description: 'Which events; empty: all' });
const rooms = Type.Array(RoomId, { maxItems: 1_000, uniqueItems: true, description: 'Of which rooms; empty: of all. Events of no room go by `events` alone' });
const description = Type.String({ maxLength: 500 });

export const NewWebhook = Type.Object({ url, events: Type.Optional(events), rooms: Type.Optional(rooms), description: Type.Optional(description) }, strict);
export type NewWebhook = Static<typeof NewWebhook>;

export const WebhookPatch = Type.Object(
	{ url: Type.Optional(url), events: Type.Optional(events), rooms: Type.Optional(rooms), description: Type.Optional(description), enabled: Type.Optional(Type.Boolean()) },
	{ ...strict, minProperties: 1 },
);
export type WebhookPatch = Static<typeof WebhookPatch>;

const webhook = {
	id: Type.String(),
	url,
	events,
	rooms,
	description: Type.Optional(description),
	enabled: Type.Boolean({ description: 'False: switched off, by an operator or since the receiver said that it is gone (410)' }),
	disabledReason: Type.Optional(Type.String()),
	createdAt: Instant,
	createdBy: Type.String({ description: 'Subject of who made it' }),
	secretHint: Type.String({ description: 'Last four characters of the secret' }),
	rotatedAt: Type.Optional(Instant),
	previousUntil: Type.Optional(Type.String({ format: 'date-time', description: 'Until then each message is signed with the secret before this one, too' })),
};
export const WebhookResource = Type.Object(webhook, { $id: 'Webhook', title: 'Webhook', ...strict });
export type WebhookResource = Static<typeof WebhookResource>;

const secret = Type.String({ description: 'For verifying signatures (Standard Webhooks: `whsec_…`). Shown this once.' });
export const WebhookWithSecret = Type.Object({ ...webhook, secret }, strict);
/** Longest time for which an old secret signs beside the new one. */
const MAX_OVERLAP_SECONDS = 7 * 86_400;
export const DEFAULT_OVERLAP_SECONDS = 86_400;
export const SecretRotation = Type.Union([
	Type.Null(),
	Type.Object(
		{
			overlapSeconds: Type.Optional(
				Type.Integer({ minimum: 0, maximum: MAX_OVERLAP_SECONDS, description: `For how long the old secret signs too, so that the receiver can change over; 0 when somebody else may know it. Default: ${DEFAULT_OVERLAP_SECONDS}` }),
			),
		},
		strict,
	),
]);
export const RotatedSecret = Type.Object({ secret, previousUntil: Type.String({ format: 'date-time', description: 'Until then each message is signed with the old secret, too' }) }, strict);
export const WebhookList = Type.Object({ webhooks: Type.Array(Type.Ref('Webhook')) }, strict);

/** One message to one webhook. */
export const WebhookDelivery = Type.Object(
	{
		id: Type.String(),
		webhook: Type.String(),
		event: Type.String({ description: 'The message’s id, as `webhook-id` says it: the same in every attempt' }),
		type: Type.String(),
		room: Type.Optional(Type.String()),
		node: Type.String({ description: 'The node that sends it' }),
		state: Type.Enum(['pending', 'delivered', 'dead'], { description: '`dead`: given up; it can be retried' }),
		createdAt: Instant,
		attempts: Type.Integer({ minimum: 0 }),
		nextAttemptAt: Type.Optional(Instant),
		log: Type.Array(
			Type.Object(
				{
					at: Instant,
					status: Type.Optional(Type.Integer({ description: 'HTTP status of the answer' })),
					error: Type.Optional(Type.String({ description: 'Why there was none' })),
					durationMs: Type.Integer(),
				},
				strict,
			),
			{ description: 'The latest attempts, newest first' },
		),
		payload: Type.Optional(Type.Unknown({ description: 'What is sent' })),
	},
	{ $id: 'WebhookDelivery', title: 'WebhookDelivery', ...strict },
);
export type WebhookDelivery = Static<typeof WebhookDelivery>;

export const DeliveryList = Type.Object(
	{
		deliveries: Type.Array(Type.Ref('WebhookDelivery')),
		next: Type.Optional(Type.String({ description: 'Pass as `after` for the next page; absent on the last one' })),
		missing: Type.Array(Type.String(), { description: 'Nodes that did not answer: theirs are not listed' }),
	},
	strict,
);
export const SentTest = Type.Object({ event: Type.String({ description: 'The message’s id' }), delivery: Type.String() }, strict);
export const WebhookParams = Type.Object({ webhook: Type.String({ minLength: 1, maxLength: 64 }) });
export const DeliveryParams = Type.Object({ webhook: Type.String({ minLength: 1, maxLength: 64 }), delivery: Type.String({ minLength: 1, maxLength: 128 }) });
export const DeliveryQuery = Type.Object(
	{
		limit: Type.Integer({ minimum: 1, maximum: 200, default: 50 }),
		after: Type.Optional(Type.String({ maxLength: 128 })),
		state: Type.Optional(Type.Enum(['pending', 'delivered', 'dead'])),
	},
	strict,
);

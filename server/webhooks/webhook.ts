import { type Static, Type } from 'typebox';
import { Compile } from 'typebox/compile';
import type { WebhookResource } from './webhook-schemas.ts';

/** A webhook as the nodes keep and share it. */
const StoredWebhook = Type.Object({
	id: Type.String({ minLength: 1, maxLength: 64 }),
	url: Type.String(),
	events: Type.Array(Type.String()),
	rooms: Type.Array(Type.String()),
	description: Type.Optional(Type.String()),
	enabled: Type.Boolean(),
	disabledReason: Type.Optional(Type.String()),
	createdAt: Type.String(),
	createdBy: Type.String(),
	secret: Type.String(),
	/** The one before, and until when it signs too; milliseconds since the epoch. */
	previous: Type.Optional(Type.Object({ secret: Type.String(), untilMs: Type.Integer() })),
	rotatedAt: Type.Optional(Type.String()),
});
export type StoredWebhook = Static<typeof StoredWebhook>;
const validator = Compile(StoredWebhook);
export const readWebhook = (value: unknown): StoredWebhook | undefined => (validator.Check(value) ? value : undefined);
export const WEBHOOKS_KIND = 'webhooks';

/** Newest first. */
export const secretsOf = ({ secret, previous }: StoredWebhook, nowMs: number): string[] => [secret, ...(previous !== undefined && previous.untilMs > nowMs ? [previous.secret] : [])];

/** Whether it is to be told of this. */
export const wants = ({ enabled, events, rooms }: StoredWebhook, type: string, roomId: string | undefined): boolean =>
	enabled && (events.length === 0 || events.includes(type)) && (rooms.length === 0 || roomId === undefined || rooms.includes(roomId));

/** Without its secrets. */
export function webhookResource({ secret, previous, events, ...shown }: StoredWebhook, nowMs: number): WebhookResource {
	return {
		...shown,
		// What an older node wrote was checked when it came in.
		events: events as WebhookResource['events'],
		secretHint: secret.slice(-4),
		...(previous !== undefined && previous.untilMs > nowMs ? { previousUntil: new Date(previous.untilMs).toISOString() } : {}),
	};
}

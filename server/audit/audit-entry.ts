import { type Static, Type } from 'typebox';

const Text = Type.String({ maxLength: 512 });

/** One privileged act: who did what to whom, when, from where, and what came of it. */
export const AuditEntry = Type.Object(
	{
		id: Type.String({ description: 'In order of time, then node', maxLength: 128 }),
		at: Type.String({ format: 'date-time' }),
		node: Type.String({ description: 'The node that did it, or refused to', maxLength: 64 }),
		actor: Type.Object(
			{ subject: Text, role: Type.String({ maxLength: 32 }), tokenId: Type.Optional(Text), name: Type.Optional(Text) },
			{ additionalProperties: false, description: 'Who asked, by the token' },
		),
		action: Type.String({ maxLength: 64, description: 'For example `participant.ban`' }),
		room: Type.Optional(Type.String({ maxLength: 128 })),
		target: Type.Optional(Type.String({ maxLength: 512, description: 'What it was done to: a participant, a node, a key …' })),
		detail: Type.Optional(Type.Record(Type.String(), Type.Unknown(), { description: 'What was asked for; never a secret' })),
		ip: Type.Optional(Type.String({ maxLength: 64, description: 'From where' })),
		via: Type.Enum(['http', 'stage'], { description: 'The HTTP API or the stage’s WebSocket' }),
		requestId: Type.Optional(Type.String({ maxLength: 128 })),
		outcome: Type.Enum(['done', 'refused', 'failed'], { description: '`refused`: by a rule; `failed`: for want of something' }),
		code: Type.Optional(Type.String({ maxLength: 64, description: 'Of the problem, when it was not done' })),
		suppressed: Type.Optional(Type.Integer({ minimum: 1, description: 'So many refusals before this one came too fast to be written' })),
	},
	{ additionalProperties: false },
);
export type AuditEntry = Static<typeof AuditEntry>;

/** What whoever writes knows; the log adds the rest. */
export type AuditAct = Omit<AuditEntry, 'id' | 'at' | 'node' | 'suppressed'>;

/** Which entries are wanted; newest first. */
export interface AuditFilter {
	limit: number;
	room?: string;
	/** An action, or the part before a dot: `participant` means all that is done to people. */
	action?: string;
	subject?: string;
	/** The id of the last entry of the page before. */
	after?: string;
}

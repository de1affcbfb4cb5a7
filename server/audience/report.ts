import { type Static, Type } from 'typebox';

const strict = { additionalProperties: false } as const;

export const ReportKind = Type.Enum(['audio', 'content', 'other']);

/** What somebody says is wrong with a room. */
export const NewReport = Type.Object(
	{
		kind: ReportKind,
		text: Type.Optional(Type.String({ maxLength: 1_000, description: 'In the person’s own words' })),
	},
	strict,
);
export type NewReport = Static<typeof NewReport>;

/** A report as it is kept and shown to admins. */
export const Report = Type.Object(
	{
		id: Type.String({ maxLength: 64 }),
		room: Type.String({ maxLength: 64 }),
		kind: ReportKind,
		text: Type.Optional(Type.String({ maxLength: 1_000 })),
		/** UTC, RFC 3339. */
		at: Type.String({ maxLength: 40 }),
		/** Which node it reached. */
		node: Type.String({ maxLength: 32 }),
		/** Of the token it came with; absent: without one. */
		by: Type.Optional(Type.Object({ subject: Type.String({ maxLength: 300 }), name: Type.String({ maxLength: 300 }) }, strict)),
	},
	strict,
);
export type Report = Static<typeof Report>;

/** Latest first; those of one moment by id, so that pages of several nodes fit together. */
export const latestFirst = (a: Report, b: Report): number => (a.at === b.at ? (a.id < b.id ? 1 : -1) : a.at < b.at ? 1 : -1);

import { type Static, Type } from 'typebox';

const strict = { additionalProperties: false } as const;

/** What a captioner, or a service that turns speech to text, posts. */
export const NewCaption = Type.Object(
	{
		text: Type.String({ minLength: 1, maxLength: 1_000, pattern: '\\S', description: 'One line; line breaks become spaces' }),
		speaker: Type.Optional(Type.String({ minLength: 1, maxLength: 100, description: 'Whose words these are, as readers are to see it' })),
		final: Type.Optional(Type.Boolean({ description: 'False: a first guess, which the next line of this speaker and language replaces. Default true.' })),
		language: Type.Optional(Type.String({ pattern: '^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8}){0,3}$', description: 'BCP 47, e.g. `ar` or `en-GB`' })),
		at: Type.Optional(Type.String({ format: 'date-time', maxLength: 40, description: 'When the words were said; default now' })),
	},
	strict,
);
export type NewCaption = Static<typeof NewCaption>;

/** A line as it is kept and told. */
export const Caption = Type.Object(
	{
		/** Grows within a room, over all its homes. */
		id: Type.Integer({ minimum: 1 }),
		text: Type.String({ maxLength: 1_000 }),
		final: Type.Boolean(),
		/** UTC, RFC 3339. */
		at: Type.String({ maxLength: 40 }),
		speaker: Type.Optional(Type.String({ maxLength: 100 })),
		language: Type.Optional(Type.String({ maxLength: 35 })),
	},
	strict,
);
export type Caption = Static<typeof Caption>;

/** Whoever says when words were said cannot be far off: clocks and services are that late at most. */
const MAX_LATE_MS = 10 * 60_000;
const CONTROLS = /[\p{Cc}\p{Zl}\p{Zp}]+/gu;

/** @param nowMs since the epoch; a time that cannot be is replaced by it */
export function captionOf({ text, speaker, final = true, language, at }: NewCaption, id: number, nowMs: number): Caption {
	const saidMs = at === undefined ? nowMs : Date.parse(at);
	const plausible = saidMs <= nowMs && nowMs - saidMs <= MAX_LATE_MS;
	const name = speaker === undefined ? '' : oneLine(speaker);
	return {
		id,
		text: oneLine(text),
		final,
		at: new Date(plausible ? saidMs : nowMs).toISOString(),
		...(name === '' ? {} : { speaker: name }),
		...(language === undefined ? {} : { language: Intl.getCanonicalLocales(language)[0] ?? language }),
	};
}

const oneLine = (text: string): string => text.replaceAll(CONTROLS, ' ').trim();

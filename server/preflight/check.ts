import { type Static, Type } from 'typebox';

export const CHECK_STATES = ['ok', 'warning', 'failed'] as const;
export type CheckState = (typeof CHECK_STATES)[number];

/** One thing that a node looked at. `failed`: the event would suffer; `warning`: it may. */
export const Check = Type.Object(
	{
		check: Type.String({ maxLength: 64, description: 'What was looked at; stable' }),
		target: Type.Optional(Type.String({ maxLength: 64, description: 'The node that was looked at, where it is another one' })),
		status: Type.Enum([...CHECK_STATES]),
		detail: Type.String({ description: 'What was found' }),
		advice: Type.String({ description: 'What to do about it; empty where there is nothing to do' }),
	},
	{ additionalProperties: false },
);
export type Check = Static<typeof Check>;

export const ok = (check: string, detail: string): Check => ({ check, status: 'ok', detail, advice: '' });
export const warning = (check: string, detail: string, advice: string): Check => ({ check, status: 'warning', detail, advice });
export const failed = (check: string, detail: string, advice: string): Check => ({ check, status: 'failed', detail, advice });

/** As people write it: 12,345. */
export const number = (value: number): string => Math.round(value).toLocaleString('en');

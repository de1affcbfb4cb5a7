import { type Static, Type } from 'typebox';
import { Compile } from 'typebox/compile';

/** What was shown to read at a moment. */
export const CaptionLine = Type.Object({
	text: Type.String(),
	speaker: Type.Optional(Type.String()),
	/** Of the epoch. */
	atMs: Type.Number(),
});
export type CaptionLine = Static<typeof CaptionLine>;

const Turn = Type.Tuple([Type.Integer(), Type.Number(), Type.Number()]);

/** A line of what a part's log tells beside its sound. The first one has `startMs`. */
export const PartLogLine = Type.Object({
	/** Of the epoch: times of turns count from here. */
	startMs: Type.Optional(Type.Number()),
	/** So far every voice is in the file. */
	untilMs: Type.Optional(Type.Number()),
	turns: Type.Optional(Type.Array(Turn)),
	/** Number and name of somebody on stage. */
	names: Type.Optional(Type.Array(Type.Tuple([Type.Integer(), Type.String()]))),
	captions: Type.Optional(Type.Array(CaptionLine)),
});
export type PartLogLine = Static<typeof PartLogLine>;

/** A stretch of a recording that was made in one go. */
export interface RecordedPart {
	/** Folder name. */
	id: string;
	/** Of the epoch. */
	startMs: number;
	durationMs: number;
	/** Number, from, to; after `startMs`. */
	turns: readonly (readonly [number, number, number])[];
	names: readonly (readonly [number, string])[];
	captions: readonly CaptionLine[];
}

const check = Compile(PartLogLine);

/** Reads what a part's log has, up to where a crash cut it off. Undefined when not even its beginning was written. */
export function readPartLog(id: string, text: string): RecordedPart | undefined {
	let startMs: number | undefined;
	let durationMs = 0;
	const turns: [number, number, number][] = [];
	const names: [number, string][] = [];
	const captions: CaptionLine[] = [];
	for (const line of text.split('\n')) {
		const entry = parsed(line);
		startMs ??= entry?.startMs;
		durationMs = Math.max(durationMs, entry?.untilMs ?? 0);
		turns.push(...(entry?.turns ?? []));
		names.push(...(entry?.names ?? []));
		captions.push(...(entry?.captions ?? []));
	}
	return startMs === undefined ? undefined : { id, startMs, durationMs, turns, names, captions };
}

function parsed(line: string): PartLogLine | undefined {
	try {
		const value: unknown = JSON.parse(line);
		return check.Check(value) ? value : undefined;
	} catch {
		return undefined; // A last line that was not written whole.
	}
}

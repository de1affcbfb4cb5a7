import { EventEmitter } from 'node:events';
import { type Static, Type } from 'typebox';

/** What may hinder a recording. Each goes away by itself once its reason has. */
export const PROBLEM_CODES = ['disk_full', 'disk_error', 'no_sound', 'no_ffmpeg', 'mix_failed', 'storage_unavailable'] as const;
export type ProblemCode = (typeof PROBLEM_CODES)[number];

/** What hinders a recording at present. */
export const RecordingProblem = Type.Object(
	{
		code: Type.Enum([...PROBLEM_CODES], {
			description:
				'`disk_full`, `disk_error`: nothing can be written; `no_sound`: no shard hands the voices over; `no_ffmpeg`, `mix_failed`: it cannot be mixed; `storage_unavailable`: the bucket does not take it',
		}),
		since: Type.String({ format: 'date-time' }),
		cause: Type.Optional(Type.String({ maxLength: 64, description: 'What the system or the bucket calls it' })),
	},
	{ additionalProperties: false },
);
export type RecordingProblem = Static<typeof RecordingProblem>;

/** Something that hinders a recording, and can be tried again. */
export class RecordingError extends Error {
	override readonly name = 'RecordingError';
	readonly code: ProblemCode;
	/** What the system or the bucket calls it; never an address or a path. */
	readonly word: string | undefined;

	constructor(code: ProblemCode, message: string, options: { word?: string | undefined; cause?: unknown } = {}) {
		super(message, { cause: options.cause });
		this.code = code;
		this.word = options.word;
	}
}

const FULL = new Set(['ENOSPC', 'EDQUOT']);

/** Whether it was the disk, by what Node says of a call to the system. */
export function isDiskProblem(error: unknown): boolean {
	const { code } = problemOf(error, 'no_sound');
	return code === 'disk_full' || code === 'disk_error';
}

/** @param otherwise what it is when the error does not tell */
export function problemOf(error: unknown, otherwise: ProblemCode): { code: ProblemCode; cause?: string } {
	if (error instanceof RecordingError) {
		return { code: error.code, ...(error.word !== undefined && { cause: error.word.slice(0, 64) }) };
	}
	const { code, syscall } = error as NodeJS.ErrnoException;
	// Only calls to the file system bring a system's error here; those of the network are told as what they were for.
	return typeof code === 'string' && syscall !== undefined ? { code: FULL.has(code) ? 'disk_full' : 'disk_error', cause: code } : { code: otherwise };
}

export interface RecordingProblemsEvents {
	/** Hindered from now on. */
	began: [roomId: string, id: string, problem: RecordingProblem];
	/** Not any more. */
	over: [roomId: string, id: string, problem: RecordingProblem];
}

/** What hinders which recordings of this node, at present: kept in memory, for the disk may be what is full. */
export class RecordingProblems extends EventEmitter<RecordingProblemsEvents> {
	readonly #now: () => number;
	readonly #present = new Map<string, { roomId: string; id: string; problem: RecordingProblem }>();
	/** How often each began. */
	readonly totals: Record<ProblemCode, number> = { disk_full: 0, disk_error: 0, no_sound: 0, no_ffmpeg: 0, mix_failed: 0, storage_unavailable: 0 };

	/** @param now milliseconds since the epoch */
	constructor(now: () => number) {
		super();
		this.#now = now;
	}

	/** The same again is nothing new. */
	begin(roomId: string, id: string, error: unknown, otherwise: ProblemCode): void {
		const { code, cause } = problemOf(error, otherwise);
		const key = keyOf(roomId, id);
		if (this.#present.get(key)?.problem.code === code) {
			return;
		}
		const problem: RecordingProblem = { code, since: new Date(this.#now()).toISOString(), ...(cause !== undefined && { cause }) };
		this.#present.set(key, { roomId, id, problem });
		this.totals[code]++;
		this.emit('began', roomId, id, problem);
	}

	end(roomId: string, id: string): void {
		const key = keyOf(roomId, id);
		const present = this.#present.get(key);
		if (present) {
			this.#present.delete(key);
			this.emit('over', roomId, id, present.problem);
		}
	}

	/** Of what is not there any more: nobody needs to be told. */
	forget(roomId: string, id: string): void {
		this.#present.delete(keyOf(roomId, id));
	}

	of(roomId: string, id: string): RecordingProblem | undefined {
		return this.#present.get(keyOf(roomId, id))?.problem;
	}
}

const keyOf = (roomId: string, id: string): string => `${roomId}/${id}`;

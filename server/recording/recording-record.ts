import { type Static, Type } from 'typebox';
import { Compile } from 'typebox/compile';
import { RoomId } from '../rooms/room.ts';
import { RecordingProblem } from './recording-problem.ts';

const Count = Type.Integer({ minimum: 0 });

export const RecordingId = Type.String({ pattern: '^[a-z0-9]{1,32}$', description: 'Later recordings of a room have greater ids' });

/** Somebody speaks for a while: what a listener would want to jump to. */
export const Chapter = Type.Object({ startMs: Count, endMs: Count, number: Count, name: Type.String() });
export type Chapter = Static<typeof Chapter>;

/** A person, and when that person spoke: pairs of from and to. */
export const SpeakerTimeline = Type.Object({ number: Count, name: Type.String(), spokeMs: Count, turns: Type.Array(Type.Tuple([Count, Count])) });
export type SpeakerTimeline = Static<typeof SpeakerTimeline>;

/** `capturing`: on disk here, and being recorded or left by a crash; `stopped`: to be mixed; `ready`; `failed`: there is nothing to hear. */
export const RecordingState = Type.Union([Type.Literal('capturing'), Type.Literal('stopped'), Type.Literal('ready'), Type.Literal('failed')]);

export type RecordingState = Static<typeof RecordingState>;

/** What is kept of a recording beside its sound. Later versions of the program may add members. */
export const RecordingRecord = Type.Object({
	id: RecordingId,
	roomId: RoomId,
	/** Tells rooms of the same name apart. */
	roomCreatedAt: Type.String(),
	title: Type.String(),
	state: RecordingState,
	startedAt: Type.String(),
	endedAt: Type.Optional(Type.String()),
	/** Nodes that held parts of it, and those of them whose parts are not in it yet. */
	nodes: Type.Array(Type.String()),
	missing: Type.Array(Type.String()),
	/** Nodes whose parts are here already, while this one records. */
	fetched: Type.Optional(Type.Array(Type.String())),
	durationMs: Count,
	/** Bytes by file name. */
	files: Type.Record(Type.String(), Count),
	captions: Type.Boolean(),
	speakers: Type.Array(SpeakerTimeline),
	chapters: Type.Array(Chapter),
	/** Of which parts its files are made: see `partsMark`. */
	mixedFrom: Type.Optional(Type.String()),
	/** Why it failed. */
	failure: Type.Optional(Type.String()),
	/** What hinders it at present; never on disk. */
	problem: Type.Optional(RecordingProblem),
});
export type RecordingRecord = Static<typeof RecordingRecord>;

const check = Compile(RecordingRecord);

/** Undefined for what is no record. */
export function readRecordingRecord(text: string): RecordingRecord | undefined {
	try {
		const value: unknown = JSON.parse(text);
		return check.Check(value) ? value : undefined;
	} catch {
		return undefined;
	}
}

export const RECORD_FILE = 'recording.json';
export const OPUS_FILE = 'audio.opus';
export const AAC_FILE = 'audio.m4a';
export const CAPTIONS_FILE = 'captions.vtt';
export const CHAPTERS_FILE = 'chapters.json';
export const CHAPTERS_VTT_FILE = 'chapters.vtt';

/** What people can fetch of a recording, and its media type. */
export const REPLAY_FILES: Readonly<Record<string, string>> = {
	[OPUS_FILE]: 'audio/ogg',
	[AAC_FILE]: 'audio/mp4',
	[CAPTIONS_FILE]: 'text/vtt; charset=utf-8',
	[CHAPTERS_FILE]: 'application/json; charset=utf-8',
	[CHAPTERS_VTT_FILE]: 'text/vtt; charset=utf-8',
};

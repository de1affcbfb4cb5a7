// Where the parts of a recording stand in the replay, who speaks when, and what to read: from what was noted while it was made.
import type { CaptionLine, RecordedPart } from './part-log.ts';
import type { Chapter, SpeakerTimeline } from './recording-record.ts';

/** A part, and how long it takes in the replay: with the silence that follows it. */
export interface PlacedPart {
	part: RecordedPart;
	/** In the replay. */
	atMs: number;
	lengthMs: number;
}

/** A caption in the replay. */
export interface Cue {
	startMs: number;
	endMs: number;
	text: string;
	speaker?: string;
}

export interface Timeline {
	durationMs: number;
	parts: PlacedPart[];
	speakers: SpeakerTimeline[];
	chapters: Chapter[];
	cues: Cue[];
}

/** A silence between parts is as long as it was, up to this; nobody wants to wait for a server that was down for an hour. */
const MAX_GAP_MS = 6_000;
/** Somebody who goes on after so short a silence has not stopped. */
const PAUSE_MS = 1_500;
/** Who says less than this in a row ("yes") gets no chapter. */
const WORD_MS = 2_500;
/** A chapter for each sentence helps nobody: while a conversation goes to and fro, whoever began it keeps it for so long. */
const MIN_CHAPTER_MS = 8_000;
const MIN_CUE_MS = 1_000;
const MAX_CUE_MS = 7_000;

/** @param parts of one recording, in any order; such as overlap (two nodes at once, by clocks that differ) follow each other */
export function timelineOf(parts: readonly RecordedPart[]): Timeline {
	const placed = placeParts(parts);
	const durationMs = placed.reduce((sum, { lengthMs }) => sum + lengthMs, 0);
	const names = new Map(placed.flatMap(({ part }) => part.names));
	const byNumber = new Map<number, [number, number][]>();
	for (const { part, atMs, lengthMs } of placed) {
		for (const [number, fromMs, toMs] of part.turns) {
			const turns = byNumber.get(number) ?? [];
			byNumber.set(number, turns);
			addTurn(turns, atMs + Math.min(fromMs, lengthMs), atMs + Math.min(toMs, lengthMs));
		}
	}
	const speakers = [...byNumber]
		.map(([number, turns]) => ({ number, name: names.get(number) ?? '', spokeMs: turns.reduce((sum, [fromMs, toMs]) => sum + toMs - fromMs, 0), turns }))
		.toSorted((a, b) => a.number - b.number);
	return { durationMs, parts: placed, speakers, chapters: chaptersOf(speakers, durationMs), cues: cuesOf(placed, durationMs) };
}

function placeParts(parts: readonly RecordedPart[]): PlacedPart[] {
	const inOrder = parts.filter(({ durationMs }) => durationMs > 0).toSorted((a, b) => a.startMs - b.startMs);
	let atMs = 0;
	return inOrder.map((part, index) => {
		const next = inOrder[index + 1];
		const gapMs = next ? Math.min(MAX_GAP_MS, Math.max(0, next.startMs - part.startMs - part.durationMs)) : 0;
		const placed = { part, atMs, lengthMs: part.durationMs + gapMs };
		atMs += placed.lengthMs;
		return placed;
	});
}

function addTurn(turns: [number, number][], fromMs: number, toMs: number): void {
	const last = turns.at(-1);
	if (last && fromMs - last[1] < PAUSE_MS) {
		last[1] = Math.max(last[1], toMs);
	} else if (toMs > fromMs) {
		turns.push([fromMs, toMs]);
	}
}

/** Chapters follow each other; who talks into somebody else's turn gets one only when going on for longer than that. */
export function chaptersOf(speakers: readonly SpeakerTimeline[], durationMs: number): Chapter[] {
	const turns = speakers
		.flatMap(({ number, name, turns: own }) => own.map(([fromMs, toMs]) => ({ number, name, fromMs, toMs })))
		.filter(({ fromMs, toMs }) => toMs - fromMs >= WORD_MS)
		.toSorted((a, b) => a.fromMs - b.fromMs);
	const chapters: (Chapter & { spokenUntilMs: number })[] = [];
	for (const { number, name, fromMs, toMs } of turns) {
		const last = chapters.at(-1);
		if (last?.number === number) {
			last.spokenUntilMs = Math.max(last.spokenUntilMs, toMs);
		} else if (last && toMs <= last.spokenUntilMs) {
			continue; // Within what somebody else says.
		} else if (last && toMs - fromMs < MIN_CHAPTER_MS && fromMs - last.startMs < MIN_CHAPTER_MS) {
			continue;
		} else {
			chapters.push({ number, name, startMs: last ? Math.max(fromMs, last.startMs + 1) : fromMs, endMs: 0, spokenUntilMs: toMs });
		}
	}
	return chapters.map(({ number, name, startMs }, index) => ({ number, name, startMs, endMs: Math.max(startMs, chapters[index + 1]?.startMs ?? durationMs) }));
}

function cuesOf(placed: readonly PlacedPart[], durationMs: number): Cue[] {
	const captions: (CaptionLine & { inReplayMs: number })[] = [];
	const seen = new Set<string>();
	for (const { part, atMs, lengthMs } of placed) {
		for (const caption of part.captions) {
			const key = `${caption.atMs} ${caption.text}`;
			const inReplayMs = Math.round(atMs + caption.atMs - part.startMs);
			if (!seen.has(key) && inReplayMs >= atMs && inReplayMs < atMs + lengthMs) {
				seen.add(key);
				captions.push({ ...caption, inReplayMs });
			}
		}
	}
	const inOrder = captions.toSorted((a, b) => a.inReplayMs - b.inReplayMs);
	return inOrder.map(({ text, speaker, inReplayMs: startMs }, index) => {
		const nextMs = inOrder[index + 1]?.inReplayMs ?? Infinity;
		const endMs = Math.min(Math.max(startMs + MIN_CUE_MS, Math.min(nextMs, startMs + MAX_CUE_MS)), Math.max(durationMs, startMs + MIN_CUE_MS));
		return { startMs, endMs, text, ...(speaker === undefined ? {} : { speaker }) };
	});
}

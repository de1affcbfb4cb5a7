import type { Chapter } from './recording-record.ts';
import type { Cue } from './timeline.ts';

/** Captions as WebVTT (W3C), each with its speaker's voice where there is one. */
export function captionsVtt(cues: readonly Cue[]): string {
	return vtt(cues.map(({ startMs, endMs, text, speaker }) => ({ startMs, endMs, body: `${speaker === undefined || speaker === '' ? '' : `<v ${escape(speaker).replaceAll('\n', ' ')}>`}${escape(text)}` })));
}

/** Chapters as WebVTT. @param nameless what a chapter is called whose speaker has no name */
export function chaptersVtt(chapters: readonly Chapter[], nameless = (number: number) => `#${number}`): string {
	return vtt(chapters.map(({ startMs, endMs, number, name }) => ({ startMs, endMs, body: escape(name === '' ? nameless(number) : name).replaceAll('\n', ' ') })));
}

function vtt(cues: readonly { startMs: number; endMs: number; body: string }[]): string {
	return `${['WEBVTT', ...cues.map(({ startMs, endMs, body }) => `${time(startMs)} --> ${time(endMs)}\n${body}`)].join('\n\n')}\n`;
}

/** `01:02:03.004` */
function time(ms: number): string {
	const part = (value: number, digits: number) => String(Math.floor(value)).padStart(digits, '0');
	return `${part(ms / 3_600_000, 2)}:${part((ms / 60_000) % 60, 2)}:${part((ms / 1_000) % 60, 2)}.${part(ms % 1_000, 3)}`;
}

/** Nothing a person writes may end a cue or be taken for its times: those three signs (§4.1), and lines without text. */
function escape(text: string): string {
	return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll(/\r\n?|\u2028|\u2029/g, '\n').replaceAll(/\n{2,}/g, '\n').trim();
}

import type { SentFrame } from './speaker.ts';

const LOUD_DBOV = -50;

/**
 * Checks that what was heard is a piece of what was sent, byte for byte, nothing missing or twice in it.
 * @param fromOnset - the piece must begin no later than the first loud frame
 * @returns what is wrong, in words, or undefined
 */
export function differenceInSpeech(heard: readonly string[], sent: readonly SentFrame[], { fromOnset = true } = {}): string | undefined {
	if (heard.length === 0) {
		return 'nothing was heard';
	}
	let best = { start: -1, matching: 0 };
	for (let start = 0; start < sent.length; start++) {
		let matching = 0;
		while (matching < heard.length && heard[matching] === sent[start + matching]?.key) {
			matching++;
		}
		if (matching > best.matching) {
			best = { start, matching };
		}
	}
	if (best.matching < heard.length) {
		return `of ${heard.length} frames heard, the first ${best.matching} are sent frames from ${best.start} on, then it differs (${sent.length} sent)`;
	}
	const onset = sent.findIndex(({ levelDbov }) => levelDbov > LOUD_DBOV);
	return fromOnset && best.start > onset ? `speech began with frame ${onset} and is heard only from ${best.start} on` : undefined;
}

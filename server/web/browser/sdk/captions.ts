/** A line of what is said, as the server tells it. */
export interface CaptionLine {
	/** Grows within a room. */
	id: number;
	text: string;
	/** False: a first guess, which will be replaced. */
	final: boolean;
	/** RFC 3339. */
	at: string;
	speaker?: string;
	/** BCP 47. */
	language?: string;
}

/** The languages in which lines are written; none for lines that do not say. */
export const captionLanguages = (lines: readonly CaptionLine[]): string[] => [...new Set(lines.flatMap(({ language }) => language ?? []))].toSorted();

/** The lines that somebody wants who reads this language. Without a wish, or where nobody writes it any more: all. */
export const captionsIn = (lines: readonly CaptionLine[], language: string | null): readonly CaptionLine[] => {
	if (language === null) {
		return lines;
	}
	const wanted = lines.filter((line) => line.language === language);
	return wanted.length > 0 ? wanted : lines;
};

const plainest = (code: string): string => code.split('-')[0]?.toLowerCase() ?? '';

/** Among the languages written, the one for a reader of these: exact first, then another kind of the same. */
export const captionLanguageFor = (wanted: readonly string[], written: readonly string[]): string | null => {
	for (const code of wanted) {
		const match = written.find((other) => other.toLowerCase() === code.toLowerCase()) ?? written.find((other) => plainest(other) === plainest(code));
		if (match !== undefined) {
			return match;
		}
	}
	return written[0] ?? null;
};

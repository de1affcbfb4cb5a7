const SHOWN_CHARACTERS = 80;

/**
 * A value in words for an error message. Lists and mappings are named by kind alone: they may be huge, may hold
 * secrets and, through YAML anchors, may even contain themselves.
 */
export const describeFound = (value: unknown, secret: boolean): string => {
	if (value === null || value === undefined) {
		return 'nothing';
	}
	if (Array.isArray(value)) {
		return `a list of ${value.length}`;
	}
	if (typeof value === 'object') {
		return 'a mapping';
	}
	if (secret) {
		return typeof value === 'string' ? `a value of ${value.length} characters (not shown)` : `a ${typeof value} (not shown)`;
	}
	if (typeof value !== 'string') {
		return typeof value === 'number' || typeof value === 'boolean' ? String(value) : `a ${typeof value}`;
	}
	const text = JSON.stringify(value);
	return text.length <= SHOWN_CHARACTERS ? text : `${text.slice(0, SHOWN_CHARACTERS)}… (${text.length} characters)`;
};

/** Levenshtein distance: single-character edits from one word to another. */
const editDistance = (a: string, b: string): number => {
	let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
	for (let row = 1; row <= a.length; row++) {
		const current = [row];
		for (let column = 1; column <= b.length; column++) {
			const substitution = (previous[column - 1] ?? 0) + (a[row - 1] === b[column - 1] ? 0 : 1);
			current.push(Math.min(substitution, (previous[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1));
		}
		previous = current;
	}
	return previous[b.length] ?? 0;
};

/** The known name that was probably meant, or nothing when none is near. Case does not count. */
export const nearestName = (name: string, known: readonly string[]): string | undefined => {
	const limit = Math.max(2, Math.floor(Math.min(name.length, 64) / 3));
	const ranked = known
		.map((candidate) => ({ candidate, distance: editDistance(name.slice(0, 64).toLowerCase(), candidate.toLowerCase()) }))
		.toSorted((a, b) => a.distance - b.distance);
	const best = ranked[0];
	return best !== undefined && best.distance <= limit ? best.candidate : undefined;
};

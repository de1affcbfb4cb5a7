// What the programs of this folder have in common towards whoever typed them.

/** One line to standard error, with the time since the start. */
export const progress = (text: string): void => console.error(`[${(performance.now() / 1_000).toFixed(0).padStart(4)} s] ${text}`);

/** An option's value; ends the process with a word on what is wrong. */
export function wholeNumber(text: string, name: string, min: number): number {
	const value = Number(text);
	if (!Number.isInteger(value) || value < min) {
		console.error(`--${name} must be a whole number of at least ${min}, not "${text}"`);
		process.exit(2);
	}
	return value;
}

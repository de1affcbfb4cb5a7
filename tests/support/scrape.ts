/** Samples of a scrape: name with labels → value. Throws for a line that is neither a comment nor a sample, and for one that comes twice. */
export function samplesOf(text: string): Map<string, number> {
	const samples = new Map<string, number>();
	for (const line of text.split('\n')) {
		if (line === '' || line.startsWith('#')) continue;
		const match = /^([a-zA-Z_:][\w:]*(?:\{[^{}]*\})?) (\S+)$/.exec(line);
		if (!match?.[1] || samples.has(match[1])) throw new Error(`not a sample, or one that was there before: ${line}`);
		samples.set(match[1], Number(match[2]));
	}
	return samples;
}

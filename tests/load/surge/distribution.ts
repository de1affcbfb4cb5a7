/** Of measured times; null where nothing was measured. */
export interface Distribution {
	count: number;
	p50: number | null;
	p95: number | null;
	p99: number | null;
	max: number | null;
}

/** Nearest rank, in tenths. */
export function distributionOf(values: readonly number[]): Distribution {
	const sorted = values.toSorted((a, b) => a - b);
	const rank = (ratio: number): number | null => {
		const value = sorted[Math.max(0, Math.ceil(sorted.length * ratio) - 1)];
		return value === undefined ? null : Math.round(value * 10) / 10;
	};
	return { count: sorted.length, p50: rank(0.5), p95: rank(0.95), p99: rank(0.99), max: rank(1) };
}

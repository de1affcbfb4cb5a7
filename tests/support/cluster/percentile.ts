/** Nearest rank; 0 of nothing. @param ratio 0 to 1 */
export function percentile(numbers: readonly number[], ratio: number): number {
	const sorted = numbers.toSorted((a, b) => a - b);
	return sorted[Math.max(0, Math.ceil(sorted.length * ratio) - 1)] ?? 0;
}

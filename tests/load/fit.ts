/** A straight line through measured points: y = fixed + slope · x. */
export interface Fit {
	slope: number;
	fixed: number;
	/** Coefficient of determination: 1 when all points lie on the line. */
	r2: number;
}

/** Ordinary least squares. NaN throughout for fewer than two different x. */
export function fitLine(points: readonly (readonly [x: number, y: number])[]): Fit {
	const n = points.length;
	const mean = (of: (point: readonly [number, number]) => number): number => points.reduce((sum, point) => sum + of(point), 0) / n;
	const meanX = mean(([x]) => x);
	const meanY = mean(([, y]) => y);
	const spreadX = mean(([x]) => (x - meanX) ** 2);
	const slope = spreadX > 0 ? mean(([x, y]) => (x - meanX) * (y - meanY)) / spreadX : Number.NaN;
	const fixed = meanY - slope * meanX;
	const spreadY = mean(([, y]) => (y - meanY) ** 2);
	return { slope, fixed, r2: spreadY > 0 ? 1 - mean(([x, y]) => (y - fixed - slope * x) ** 2) / spreadY : 1 };
}

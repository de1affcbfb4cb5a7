/** Below this a meter shows nothing; above 0 dBFS there is nothing. */
const FLOOR_DB = -60;

/** Root mean square of samples (-1 to 1) as 0 to 1 on a decibel scale, as ears hear it. */
export const levelOf = (samples: Float32Array): number => {
	let sum = 0;
	for (const sample of samples) {
		sum += sample * sample;
	}
	if (sum === 0) {
		return 0;
	}
	const db = 10 * Math.log10(sum / samples.length);
	return Math.min(1, Math.max(0, 1 - db / FLOOR_DB));
};

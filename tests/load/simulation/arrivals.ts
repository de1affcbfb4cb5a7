/** Part of the audience that comes at once when the link is posted; the others follow all the time. */
const AT_ONCE = 0.6;
/** The front falls by a factor of e in this part of the window. */
const FRONT = 1 / 8;
/** The first of them need so long to see the post, in seconds: the rise of the front. */
const RISE_SECONDS = 1;

/**
 * When each listener comes, in ms since the first one: a sharp front (six in ten, decaying within an eighth of the window) and a
 * long tail that thins out until the window's end. Of a million within a minute some 85,000 come in the busiest second, five times the mean.
 * Shape assumed after accounts of May 2023: nobody published the curve.
 *
 * @returns ascending
 */
export function arrivalTimes(listeners: number, withinSeconds: number, random: () => number): Float64Array {
	const windowMs = withinSeconds * 1_000;
	const decayMs = windowMs * FRONT;
	const riseMs = Math.min(RISE_SECONDS * 1_000, windowMs / 20);
	const times = new Float64Array(listeners);
	for (let index = 0; index < listeners; index++) {
		let atMs: number;
		if (random() < AT_ONCE) {
			do {
				atMs = riseMs * random() - decayMs * Math.log(1 - random());
			} while (atMs > windowMs);
		} else {
			// Density falls evenly to zero.
			atMs = windowMs * (1 - Math.sqrt(1 - random()));
		}
		times[index] = atMs;
	}
	return times.toSorted();
}

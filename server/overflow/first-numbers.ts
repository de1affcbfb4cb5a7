import { SEGMENT_MS } from './segments.ts';

/** Segments that each home in turn is ahead of the one before, which may have counted faster than time by then. */
const EPOCH_STEP = 8;
/** Two beginnings within a minute that know nothing of each other give one number twice, and players may have to begin anew. */
const DISCONTINUITY_MS = 60_000;

/**
 * What a stream counts from when nobody knows where it stood: above what its players have seen, for both numbers go with time.
 *
 * The discontinuity must be small besides: hls.js (1.7.4) keeps an array that is as long as the number is high, and walks it each
 * time it reads the playlist and each time it has read a part, at some 10 ns for every number on a fast machine, four times in a second. So it
 * counts minutes, from the room's own beginning on.
 * @param nowMs since 1970
 * @param createdAtMs of the room, since 1970
 * @param epoch this home's fencing token for the room
 */
export function firstNumbers(nowMs: number, createdAtMs: number, epoch: number): { msn: number; discontinuity: number } {
	return {
		msn: Math.floor(nowMs / SEGMENT_MS) + EPOCH_STEP * epoch,
		discontinuity: Math.max(0, Math.floor((nowMs - createdAtMs) / DISCONTINUITY_MS)),
	};
}

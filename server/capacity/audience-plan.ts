import type { PackingMs } from '../../sfu/contract/media-types.ts';
import { type CapacityNode, type FleetCapacity, fleetCapacity } from './capacity-rule.ts';

/** Who waits longer for a place than this waits too long, although the HLS stream is heard meanwhile. */
export const MAX_WAIT_SECONDS = 30;
const STEPS = 200;

export interface Audience {
	/** Who will come, beside those who are there. */
	listeners: number;
	/** From the first to the last of them, evenly. */
	withinSeconds: number;
}

export interface AudiencePlan {
	packingMs: PackingMs;
	/** What the fleet holds, those who are there now included. */
	capacity: number;
	/** What it admits a second as it is now. */
	joinsPerSecond: number;
	/** A place for everybody, and nobody waits longer than `maxWaitSeconds` for it. */
	enough: boolean;
	/** So many more nodes like those there are (the mean of them) would be enough; undefined when no number of them would. */
	moreNodes: number | undefined;
	/** Part of the audience for whom there will be no place: they hear the HLS stream. */
	overflowShare: number;
	/** Until the last one who gets a place has it, from when that one came; Infinity when that never happens. */
	lastWaitSeconds: number;
}

/** What a fleet has for an audience. */
export function planAudience(
	nodes: readonly CapacityNode[],
	packingMs: PackingMs,
	audience: Audience,
	{ present = 0, maxWaitSeconds = MAX_WAIT_SECONDS }: { present?: number; maxWaitSeconds?: number } = {},
): AudiencePlan {
	const fleet = fleetCapacity(nodes, packingMs);
	const free = Math.max(0, fleet.listeners - present);
	const enough = (listeners: number) => listeners <= free && lastWait(fleet, { ...audience, listeners }, present) <= maxWaitSeconds;
	return {
		packingMs,
		capacity: fleet.listeners,
		joinsPerSecond: fleet.joinsPerSecond(Math.min(present, fleet.listeners)),
		enough: enough(audience.listeners),
		moreNodes: enough(audience.listeners) ? 0 : moreNodes(nodes.length, audience.listeners, largest(enough, free)),
		overflowShare: audience.listeners > 0 ? Math.max(0, audience.listeners - free) / audience.listeners : 0,
		lastWaitSeconds: lastWait(fleet, audience, present),
	};
}

/** All figures grow with the nodes, so what one fleet has for M, twice that fleet has for 2 M. */
function moreNodes(nodes: number, expected: number, served: number): number | undefined {
	return served > 0 ? Math.max(1, Math.ceil((expected / served) * nodes) - nodes) : undefined;
}

/** The largest number that is still enough. */
function largest(enough: (listeners: number) => boolean, most: number): number {
	let low = 0;
	let high = most;
	while (low < high) {
		const middle = Math.ceil((low + high) / 2);
		if (enough(middle)) {
			low = middle;
		} else {
			high = middle - 1;
		}
	}
	return low;
}

/** The fleet admits the slower the fuller it is, so whoever comes last waits longest: added up in steps of its filling. */
function lastWait(fleet: FleetCapacity, { listeners, withinSeconds }: Audience, present: number): number {
	const seated = Math.min(listeners, Math.max(0, fleet.listeners - present));
	if (seated === 0) {
		return 0;
	}
	const perStep = seated / STEPS;
	const arriveSeconds = (withinSeconds * seated) / listeners;
	let atSeconds = 0;
	for (let step = 0; step < STEPS; step++) {
		const admitted = perStep / fleet.joinsPerSecond(present + (step + 0.5) * perStep);
		// Nobody is let in before coming.
		atSeconds = Math.max(atSeconds + admitted, (arriveSeconds * (step + 1)) / STEPS);
	}
	return Math.max(0, atSeconds - arriveSeconds);
}

import { actingRole, standingOf } from '../rooms/stage-rules.ts';
import type { LiveRoster } from './live-roster.ts';
import type { StageHands } from './stage-hands.ts';

/** How things stand between one listener and the stage. */
export interface HandState {
	/** The same as long as nothing is different, on whichever node. */
	readonly version: number;
	readonly raised: boolean;
	readonly position: number | null;
	/** Raised hands in the room. */
	readonly total: number;
	readonly invitation: { readonly by: string; readonly expiresAt: string } | null;
	readonly onStage: boolean;
	/** A host has let this person onto the stage, and a token for it may be made. */
	readonly granted: boolean;
}

/** Places in the queue that a version can tell apart. */
const PLACES = 2 ** 20;

export function handState({ hands, roster }: { hands: Pick<StageHands, 'get' | 'position' | 'raised'>; roster: LiveRoster }, id: string): HandState {
	const hand = hands.get(id);
	const { rules } = roster;
	const state = {
		raised: hand?.raisedAt != null,
		position: hands.position(id),
		total: hands.raised,
		invitation: hand?.invitation ?? null,
		onStage: roster.find(id) !== undefined,
		granted: standingOf(rules, id) !== undefined && actingRole(rules, id, 'listener') !== 'listener',
	};
	return { version: versionOf(state), ...state };
}

/** A version without the place. */
export function matterOf(version: number): number {
	return Math.floor(version / PLACES);
}

/** Made of the state itself, so that all homes come to the same: the place in the queue in the low digits, a digest of the rest above. */
function versionOf({ raised, position, invitation, onStage, granted }: Omit<HandState, 'version'>): number {
	let digest = 0x811c9dc5;
	for (const character of JSON.stringify([raised, invitation, onStage, granted])) digest = Math.imul(digest ^ character.charCodeAt(0), 0x01000193) >>> 0;
	return digest * PLACES + ((position ?? 0) % PLACES);
}

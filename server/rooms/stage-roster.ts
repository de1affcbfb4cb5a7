// The roster of one room's stage, as values: every change gives a new frozen snapshot with the next
// version, and a change that changes nothing gives the same snapshot back.
import { hash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { Hand } from './hand-queue.ts';
import type { Participant } from './room.ts';
import { NO_RULES, type StageRules } from './stage-rules.ts';

/** Everything of a stage that goes with the room from home to home. */
export interface StageRoster {
	/** Grows by one with each change and never goes back while the room has a home; the next home goes on from there. */
	readonly version: number;
	/** In order of number. */
	readonly participants: readonly Participant[];
	/** Absent: nothing is settled. */
	readonly rules?: StageRules;
	/** The queue as it was kept last, some hundred milliseconds behind its home's own; absent: empty. */
	readonly hands?: readonly Hand[];
}

export const EMPTY_ROSTER: StageRoster = Object.freeze({ version: 0, participants: Object.freeze([]) });

/**
 * The id of a person in a room: `p_` and the first 20 hex digits of SHA-256 over room id and subject.
 * It is the same on every node and after every restart, needs no table, differs from room to room, and
 * does not show the subject (which may be an e-mail address) to others on stage. It is a name and not a
 * secret: nothing is granted to whoever knows it. Room ids hold no line break, so the joint is unambiguous.
 */
export function participantIdOf(roomId: string, subject: string): string {
	return `p_${hash('sha256', `${roomId}\n${subject}`).slice(0, 20)}`;
}

export function rulesOf({ rules }: StageRoster): StageRules {
	return rules ?? NO_RULES;
}

export function withRules(roster: StageRoster, rules: StageRules): StageRoster {
	return rules === rulesOf(roster) ? roster : Object.freeze({ ...roster, version: roster.version + 1, rules });
}

export function withHands(roster: StageRoster, hands: readonly Hand[]): StageRoster {
	if (hands.length === 0 && (roster.hands ?? []).length === 0) return roster;
	return Object.freeze({ ...roster, version: roster.version + 1, hands });
}

/** Whether people would see no difference: hands are hosts' to see, and are told otherwise. */
export function looksTheSame(a: StageRoster, b: StageRoster): boolean {
	const [rulesA, rulesB] = [rulesOf(a), rulesOf(b)];
	return (
		(a.participants === b.participants || isDeepStrictEqual(a.participants, b.participants)) &&
		rulesA.locked === rulesB.locked &&
		rulesA.maxSize === rulesB.maxSize &&
		isDeepStrictEqual(rulesA.order, rulesB.order)
	);
}

export function participantIn(roster: StageRoster, participantId: string): Participant | undefined {
	return roster.participants.find((participant) => participant.id === participantId);
}

/** With this person on stage; one with the same id is replaced. The number must be the one the store gave. */
export function withEntered(roster: StageRoster, participant: Participant): StageRoster {
	const others = roster.participants.filter(({ id }) => id !== participant.id);
	return next(roster, [...others, Object.freeze({ ...participant })].toSorted((a, b) => a.number - b.number));
}

export function withLeft(roster: StageRoster, participantId: string): StageRoster {
	const others = roster.participants.filter(({ id }) => id !== participantId);
	return others.length === roster.participants.length ? roster : next(roster, others);
}

/** With some of a person's changing parts set; whoever is not on stage stays away. */
export function withChanged(
	roster: StageRoster,
	participantId: string,
	change: Partial<Pick<Participant, 'name' | 'role' | 'muted' | 'connection' | 'mediaId'>>,
): StageRoster {
	const before = participantIn(roster, participantId);
	if (!before) return roster;
	const after = Object.freeze({ ...before, ...change });
	if (KEYS_THAT_CHANGE.every((key) => before[key] === after[key])) return roster;
	return next(
		roster,
		roster.participants.map((participant) => (participant === before ? after : participant)),
	);
}

/** With nobody's media flowing: the origin is gone. */
export function withoutMedia(roster: StageRoster): StageRoster {
	if (roster.participants.every(({ mediaId }) => mediaId === null)) return roster;
	return next(
		roster,
		roster.participants.map((participant) => Object.freeze({ ...participant, mediaId: null })),
	);
}

/** As a new home begins with it: everybody is expected back, and nobody's media flows. */
export function withAllReconnecting(roster: StageRoster): StageRoster {
	if (roster.participants.length === 0) return roster;
	return next(
		roster,
		roster.participants.map((participant) => Object.freeze({ ...participant, connection: 'reconnecting', mediaId: null })),
	);
}

/** A roster and the epoch of the home that says so. */
export interface StageState {
	readonly epoch: number;
	readonly roster: StageRoster;
}

/** A later home is right against an earlier one, whatever the versions say. */
export function isNewer(a: StageState, b: StageState): boolean {
	return a.epoch === b.epoch ? a.roster.version > b.roster.version : a.epoch > b.epoch;
}

const KEYS_THAT_CHANGE = ['name', 'role', 'muted', 'connection', 'mediaId'] as const;

function next(roster: StageRoster, participants: Participant[]): StageRoster {
	return Object.freeze({ ...roster, version: roster.version + 1, participants: Object.freeze(participants) });
}

// What hosts have settled for a stage, as values: it is kept with the roster and goes with the room from home to home.
import type { Role } from '../../auth/roles.ts';
import type { StageRole } from './room.ts';

/**
 * What a person may be on this stage, whatever the token says. A floor lifts those whose token allows less; a cap holds
 * exactly: whoever was demoted stays so until a host says otherwise, with however good a token they come back.
 */
export interface Standing {
	readonly id: string;
	readonly role: StageRole | 'listener';
	readonly kind: 'floor' | 'cap';
}

export interface StageRules {
	/** Nobody new comes on stage. */
	readonly locked: boolean;
	/** Absent: as many as the node allows. */
	readonly maxSize?: number;
	/** Participant ids, those to be shown first; whoever is not named comes after them. */
	readonly order: readonly string[];
	/** At most one for each person, oldest first. */
	readonly standings: readonly Standing[];
}

export const NO_RULES: StageRules = Object.freeze({ locked: false, order: Object.freeze([]), standings: Object.freeze([]) });

/** The oldest are forgotten beyond it; more people than can come and go on one stage in an evening. */
export const MAX_STANDINGS = 2_000;

const RANK: Readonly<Record<Role, number>> = { admin: 4, host: 3, cohost: 2, speaker: 1, listener: 0 };

export function outranks(a: Role, b: Role): boolean {
	return RANK[a] > RANK[b];
}

export function standingOf({ standings }: StageRules, participantId: string): Standing | undefined {
	return standings.find(({ id }) => id === participantId);
}

/** What somebody with a token of this role is on the stage. An admin is one everywhere. */
export function actingRole(rules: StageRules, participantId: string, tokenRole: Role): Role {
	if (tokenRole === 'admin') return 'admin';
	const standing = standingOf(rules, participantId);
	if (standing === undefined) return tokenRole;
	return standing.kind === 'cap' || outranks(standing.role, tokenRole) ? standing.role : tokenRole;
}

/** With this standing in the place of the person's earlier one. */
export function withStanding(rules: StageRules, standing: Standing): StageRules {
	const before = standingOf(rules, standing.id);
	if (before?.role === standing.role && before.kind === standing.kind) return rules;
	const others = rules.standings.filter(({ id }) => id !== standing.id);
	return Object.freeze({ ...rules, standings: Object.freeze([...others, Object.freeze({ ...standing })].slice(-MAX_STANDINGS)) });
}

/** With some of the settings changed; the same rules when nothing is. */
export function withSettings(rules: StageRules, change: Partial<Pick<StageRules, 'locked' | 'maxSize' | 'order'>>): StageRules {
	const order = change.order === undefined ? rules.order : [...new Set(change.order)];
	const after = { ...rules, ...change, order: Object.freeze(order) };
	const same = after.locked === rules.locked && after.maxSize === rules.maxSize && order.length === rules.order.length && order.every((id, index) => id === rules.order[index]);
	return same ? rules : Object.freeze(after);
}

/** People as they are to be shown: in the hosts' order, the rest by number. */
export function inOrder<T extends { readonly id: string; readonly number: number }>(people: readonly T[], { order }: StageRules): readonly T[] {
	if (order.length === 0) return people;
	const places = new Map(order.map((id, index) => [id, index]));
	const place = ({ id }: T): number => places.get(id) ?? order.length;
	return people.toSorted((a, b) => place(a) - place(b) || a.number - b.number);
}

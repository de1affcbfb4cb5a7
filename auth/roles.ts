/** Who somebody is to a room, most powerful first. */
export const roles = ['admin', 'host', 'cohost', 'speaker', 'listener'] as const;
export type Role = typeof roles[number];

/**
 * What somebody may do.
 * - `room:create|delete|list-private`, `admin:operate`: the operator's; `room:edit|state`, `token:create`: a host's.
 * - `stage:join`: the stage's WebSocket and WHIP; `stage:command`: act on oneself there (mute, leave);
 *   `stage:moderate`: act on others (invite, promote, mute, kick, ban).
 * - `room:listen`, `room:read`, `room:react` (hand, reactions): every participant's. Public rooms grant reading and
 *   listening without a token; that is the room's policy and not decided here.
 */
export type Permission =
	| 'admin:operate'
	| 'room:create' | 'room:delete' | 'room:list-private'
	| 'room:edit' | 'room:state' | 'token:create'
	| 'stage:moderate' | 'caption:write'
	| 'stage:join' | 'stage:command'
	| 'room:read' | 'room:listen' | 'room:react';

/** The part of a principal that decides what it may do. */
export interface Bearer {
	readonly role: Role;
	/** The one room this bearer counts for. Only an admin has none. */
	readonly roomId?: string | undefined;
}

const listener: readonly Permission[] = ['room:read', 'room:listen', 'room:react'];
const speaker: readonly Permission[] = [...listener, 'stage:join', 'stage:command'];
const cohost: readonly Permission[] = [...speaker, 'stage:moderate', 'caption:write'];
const host: readonly Permission[] = [...cohost, 'room:edit', 'room:state', 'token:create'];
const admin: readonly Permission[] = [...host, 'room:create', 'room:delete', 'room:list-private', 'admin:operate'];

export const rolePermissions: Readonly<Record<Role, readonly Permission[]>> = Object.freeze({
	admin: Object.freeze(admin),
	host: Object.freeze(host),
	cohost: Object.freeze(cohost),
	speaker: Object.freeze(speaker),
	listener: Object.freeze(listener),
});

/**
 * A host makes no further hosts: a host link that leaks must not be able to breed links that outlive it. Co-hosts run
 * the stage as a host does; a second host is the admin's to make.
 */
const issuableRoles: Readonly<Record<Role, readonly Role[]>> = Object.freeze({
	admin: Object.freeze([...roles]),
	host: Object.freeze(['cohost', 'speaker', 'listener'] as const),
	cohost: Object.freeze([]),
	speaker: Object.freeze([]),
	listener: Object.freeze([]),
});

export const isRole = (value: unknown): value is Role => roles.some((role) => role === value);

/** Whether a role is held in one room only, so that its tokens must name that room. */
export const isRoomBound = (role: Role): boolean => role !== 'admin';

/**
 * Whether a bearer may do something, in `roomId` when that concerns a room. A room-bound bearer may nothing outside
 * its room, and so nothing that concerns no room; an admin may everything everywhere.
 */
export const can = (bearer: Bearer, permission: Permission, roomId?: string): boolean => {
	if (!rolePermissions[bearer.role].includes(permission)) {
		return false;
	}
	return bearer.role === 'admin' || (roomId !== undefined && bearer.roomId === roomId);
};

/** Whether a role may make tokens of another. That it is for the issuer's own room, `can(…, 'token:create', room)` decides. */
export const mayIssue = (issuerRole: Role, role: Role): boolean => issuableRoles[issuerRole].includes(role);

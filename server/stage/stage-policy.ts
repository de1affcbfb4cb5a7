// Who may do what on a stage: functions of a token's principal and the roster, nothing else.
import type { Principal } from '../../auth/claims.ts';
import { can, type Permission } from '../../auth/roles.ts';
import { DomainError } from '../errors.ts';
import type { Participant, StageRole } from '../rooms/room.ts';

/** The part of a verified token that the stage looks at. */
export type StagePrincipal = Pick<Principal, 'subject' | 'name' | 'role' | 'roomId'>;

/** Throws DomainError `forbidden`. */
export function requireRight(principal: StagePrincipal, permission: Permission, roomId: string): void {
	if (can(principal, permission, roomId)) return;
	const elsewhere = principal.roomId !== undefined && principal.roomId !== roomId;
	throw new DomainError('forbidden', elsewhere ? 'This token is for another room.' : `A ${principal.role} may not do that.`, {
		extra: { reason: elsewhere ? 'wrong_room' : 'wrong_role' },
	});
}

/**
 * The role this principal has on the room's stage; an admin stands there as a host.
 * Throws DomainError `forbidden` for listeners and for tokens of another room.
 */
export function stageRoleOf(principal: StagePrincipal, roomId: string): StageRole {
	requireRight(principal, 'stage:join', roomId);
	switch (principal.role) {
		case 'admin':
			return 'host';
		case 'listener':
			throw new DomainError('forbidden', 'A listener has no place on stage.', { extra: { reason: 'wrong_role' } });
		default:
			return principal.role;
	}
}

/** Whether `actor` may mute, kick or ban `target`: a co-host has no power over a host. Throws DomainError `forbidden`. */
export function requirePowerOver(actor: StagePrincipal, roomId: string, target: Participant): void {
	requireRight(actor, 'stage:moderate', roomId);
	if (actor.role === 'cohost' && target.role === 'host') {
		throw new DomainError('forbidden', 'A co-host may not do that to a host.', { extra: { reason: 'target_is_host' } });
	}
}

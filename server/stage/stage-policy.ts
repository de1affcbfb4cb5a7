// Who may do what on a stage: functions of a token's principal and the roster, nothing else.
import type { Principal } from '../../auth/claims.ts';
import { can, type Permission } from '../../auth/roles.ts';
import { DomainError } from '../errors.ts';
import type { Participant, StageRole } from '../rooms/room.ts';
import { participantIdOf } from '../rooms/stage-roster.ts';
import { actingRole, type StageRules } from '../rooms/stage-rules.ts';

/** The part of a verified token that the stage looks at. */
export type StagePrincipal = Pick<Principal, 'subject' | 'name' | 'role' | 'roomId'> & Partial<Pick<Principal, 'tokenId' | 'issuedAt'>>;

/** Throws DomainError `forbidden`. */
export function requireRight(principal: StagePrincipal, permission: Permission, roomId: string): void {
	if (can(principal, permission, roomId)) return;
	const elsewhere = principal.roomId !== undefined && principal.roomId !== roomId;
	throw new DomainError('forbidden', elsewhere ? 'This token is for another room.' : `A ${principal.role} may not do that.`, {
		extra: { reason: elsewhere ? 'wrong_room' : 'wrong_role' },
	});
}

/** The principal with the role that this room's stage gives it, whatever the token says. */
export function actingAs<P extends StagePrincipal>(principal: P, roomId: string, rules: StageRules): P {
	if (principal.roomId !== roomId) return principal;
	const role = actingRole(rules, participantIdOf(roomId, principal.subject), principal.role);
	return role === principal.role ? principal : { ...principal, role };
}

/**
 * The role this principal has on the room's stage; an admin stands there as a host.
 * Throws DomainError `forbidden` for listeners (reason `off_stage` for those who were made one here) and for tokens of another room.
 */
export function stageRoleOf(principal: StagePrincipal, roomId: string, rules: StageRules): StageRole {
	const acting = actingAs(principal, roomId, rules);
	if (acting.role === 'listener' && can(principal, 'stage:join', roomId)) throw offStage();
	requireRight(acting, 'stage:join', roomId);
	switch (acting.role) {
		case 'admin':
			return 'host';
		case 'listener':
			throw new DomainError('forbidden', 'A listener has no place on stage.', { extra: { reason: 'wrong_role' } });
		default:
			return acting.role;
	}
}

/** For somebody whose token would do, but who was taken off the stage. */
export function offStage(): DomainError {
	return new DomainError('forbidden', 'Your role on this stage does not allow that any more; a host or co-host can change it.', { extra: { reason: 'off_stage' } });
}

/** Who becomes host when no host is left: the co-host who has been there longest, of those who are connected if any is. */
export function successor(participants: readonly Participant[]): Participant | undefined {
	const heirs = participants.filter(({ role }) => role === 'cohost').toSorted((a, b) => Date.parse(a.joinedAt) - Date.parse(b.joinedAt) || a.number - b.number);
	return heirs.find(({ connection }) => connection === 'connected') ?? heirs[0];
}

/** Whether `actor` may mute, kick or ban `target`: a co-host has no power over a host. Throws DomainError `forbidden`. */
export function requirePowerOver(actor: StagePrincipal, roomId: string, target: { readonly role: StageRole | 'listener' }): void {
	requireRight(actor, 'stage:moderate', roomId);
	if (actor.role === 'cohost' && target.role === 'host') {
		throw new DomainError('forbidden', 'A co-host may not do that to a host.', { extra: { reason: 'target_is_host' } });
	}
}

import type { FastifyInstance, FastifyRequest } from 'fastify';
import { AuthError } from '../../../auth/auth-error.ts';
import type { Principal } from '../../../auth/claims.ts';
import { can, type Permission } from '../../../auth/roles.ts';
import type { Room } from '../../rooms/room.ts';
import { DomainError } from '../../errors.ts';
import type { BanList } from '../ban-list.ts';
import { offStage } from '../../stage/stage-policy.ts';
import type { AppDeps } from '../deps.ts';

declare module 'fastify' {
	interface FastifyInstance {
		/** Somebody with the role that a room's stage gives; absent where there are no stages. */
		actingAs?: (principal: Principal, roomId: string) => Principal;
	}
}

/**
 * Reads and verifies the token of every request of this scope into `request.principal`. A token that is
 * presented must be good, even where none is needed: an answer that silently ignored it would mislead.
 */
export function registerAuth(app: FastifyInstance, { verifier, stages }: Pick<AppDeps, 'verifier'> & { stages?: { people: Pick<AppDeps['stages']['people'], 'actingAs'> } }): void {
	app.decorateRequest('principal', null);
	if (stages) app.decorate('actingAs', (principal, roomId) => stages.people.actingAs(principal, roomId));
	app.addHook('onRequest', (request, _reply, done) => {
		let bearer: string | undefined;
		try {
			bearer = bearerOf(request);
		} catch (error) {
			done(error instanceof Error ? error : undefined);
			return;
		}
		if (bearer === undefined) {
			done();
			return;
		}
		verifier.verify(bearer).then(
			(principal) => {
				request.principal = principal;
				done();
			},
			(error: unknown) => {
				const lapsed = error instanceof AuthError && error.code === 'token_expired' && request.routeOptions.config.expiredTokenOk === true;
				done(lapsed ? undefined : error instanceof Error ? error : new Error('Verifying a token failed', { cause: error }));
			},
		);
	});
}

/** RFC 6750 §2.1, and §2.3 where the route says so. Both at once is refused, as §2 asks. */
function bearerOf(request: FastifyRequest): string | undefined {
	const header = request.headers.authorization;
	let bearer: string | undefined;
	if (header !== undefined) {
		bearer = /^Bearer +([^\s]+) *$/i.exec(header)?.[1];
		if (bearer === undefined) throw new AuthError('token_malformed', 'Authorization must be "Bearer" and one token.');
	}
	if (request.routeOptions.config.queryToken === true) {
		const value = new URL(request.url, 'http://localhost').searchParams.getAll('access_token');
		if (value.length > 0) {
			if (bearer !== undefined || value.length > 1) throw new DomainError('invalid_request', 'A request carries one token, not several');
			bearer = value[0];
			if (bearer === undefined || bearer === '') throw new AuthError('token_malformed', 'The token is empty.');
		}
	}
	return bearer;
}

/** @throws DomainError `token_required` without a token, `forbidden` when it is for another room: for what the room's home decides */
export function requireToken(request: FastifyRequest, roomId: string): Principal {
	return requirePermission(request, 'room:read', roomId);
}

/**
 * Whoever was promoted or demoted on a room's stage has that role's rights in the room, whatever the token says.
 *
 * @returns the principal with the role that counts
 * @throws DomainError `token_required` without a token, `forbidden` when it does not allow this (in this room)
 */
export function requirePermission(request: FastifyRequest, permission: Permission, roomId?: string): Principal {
	if (request.principal === null) throw new DomainError('token_required', 'This needs a token: Authorization: Bearer …');
	const principal = (roomId !== undefined && request.server.actingAs?.(request.principal, roomId)) || request.principal;
	if (!can(principal, permission, roomId)) {
		if (can(request.principal, permission, roomId)) throw offStage();
		const elsewhere = roomId !== undefined && principal.roomId !== undefined && principal.roomId !== roomId;
		throw new DomainError('forbidden', elsewhere ? 'This token is for another room' : `A ${principal.role} may not do that`, {
			extra: { reason: elsewhere ? 'wrong_room' : 'wrong_role' },
		});
	}
	return principal;
}

/**
 * Who may hear or see a room: anybody when it is public, otherwise those whose token says so. A token that is
 * presented must fit the room and its bearer must not be banned. Without a token, nothing is looked up.
 *
 * @returns undefined when there is nothing to wait for: the path of the many
 */
export function requireEntry(request: FastifyRequest, room: Room, permission: 'room:listen' | 'room:read', bans: BanList): Promise<void> | undefined {
	if (request.principal === null && room.visibility === 'public') return undefined;
	return requireUnbanned(requirePermission(request, permission, room.id), room.id, bans);
}

/** @throws DomainError `banned` */
export async function requireUnbanned(principal: Principal, roomId: string, bans: BanList): Promise<void> {
	// An admin who is banned could lift the ban; pretending otherwise protects nobody.
	if (principal.role === 'admin') return;
	if (await bans.has(roomId, principal.subject)) throw new DomainError('banned', 'The holder of this token was banned from the room');
}

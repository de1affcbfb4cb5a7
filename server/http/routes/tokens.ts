import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance } from 'fastify';
import { AuthError } from '../../../auth/auth-error.ts';
import { mayIssue } from '../../../auth/roles.ts';
import { DomainError } from '../../errors.ts';
import { requirePermission } from '../plugins/auth.ts';
import type { RouteContext } from '../route-context.ts';
import { IssuedToken, NewToken, NoQuery, problems, RoomParams, TOKEN_PROBLEMS } from '../schemas.ts';

/** Invitations: a token for one room and one role, and the page it opens. */
export function registerTokenRoutes(instance: FastifyInstance, { deps, links }: RouteContext): void {
	instance.withTypeProvider<TypeBoxTypeProvider>().post(
		'/v1/rooms/:room/tokens',
		{
			schema: {
				operationId: 'createToken',
				summary: 'Invite somebody: make a token for this room',
				description:
					'Admins make every role, hosts make co-hosts, speakers and listeners. The answer’s `url` is the page for the role ' +
					'with the token in the fragment (`#token=`), which browsers send to no server.',
				tags: ['tokens'],
				params: RoomParams,
				querystring: NoQuery,
				body: NewToken,
				response: {
					201: { ...IssuedToken, description: 'Made' },
					...problems(...TOKEN_PROBLEMS, 'room_not_found', 'room_ended', 'payload_too_large', 'unsupported_media_type', 'shutting_down'),
				},
			},
		},
		async (request, reply) => {
			const { room: roomId } = request.params;
			const principal = requirePermission(request, 'token:create', roomId);
			const { role, name, subject = deps.randomId(), expiresIn } = request.body;
			if (!mayIssue(principal.role, role)) {
				throw new DomainError('forbidden', `A ${principal.role} cannot make ${role} tokens`, { extra: { reason: 'wrong_role' } });
			}
			if (deps.rooms.require(roomId).state === 'ended') throw new DomainError('room_ended', 'Nobody can be invited to a room that has ended');
			const issued = await deps.issuer
				.issue({ role, roomId, subject, name: name.trim(), expiresInSeconds: expiresIn, nowSeconds: deps.now() / 1000 })
				.catch((error: unknown) => {
					// The issuer speaks of tokens as the verifier does (401); here it is the request that asks for too much.
					if (error instanceof AuthError) throw new DomainError('invalid_request', error.message, { cause: error, extra: { reason: error.code } });
					throw error;
				});
			request.audited = { target: subject, detail: { role, tokenId: issued.tokenId } };
			request.log.info({ room: roomId, role, subject, tokenId: issued.tokenId, by: principal.subject }, 'token made');
			return reply
				.code(201)
				.header('cache-control', 'no-store')
				.send({
					token: issued.token,
					url: links.pageFor(role, roomId, issued.token),
					expiresAt: new Date(issued.expiresAt * 1000).toISOString(),
					tokenId: issued.tokenId,
					subject,
				});
		},
	);
}
